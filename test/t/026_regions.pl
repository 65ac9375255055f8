# Several regions: the same writes leave the same bytes in every store, in whatever order, batches and turns topics bring
# them, and those that a model says: merge/regions.py.  $VENICE_SEED repeats a run; $CASES says how many keys are written to.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{VENICE_SEED} || 1 + time % 1_000_000;
my $node = venice_cluster('main', conf => "synchronous_commit = off\n");
my $kafka = VeniceTest::Kafka->shared;

chomp(my $venv = `$VeniceTest::test_dir/python/venv`);
my ($out, $err) = run_command([ "$venv/bin/python", "$VeniceTest::test_dir/merge/regions.py", $node->connstr('postgres') . ' user=' . getpwuid($<),
	$kafka->bootstrap, unique_name('regions'), $seed, $ENV{CASES} || 150 ]);
like($out, qr/^(\d+) of \1 rows as they must be$/, "all stores have the same bytes (seed $seed)") or diag("$out\n$err");
log_is_clean($node, 'and nobody complains');
done_testing();
