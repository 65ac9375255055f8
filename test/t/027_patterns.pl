# What examples/patterns/run shows is so: it compares each pattern's answer with what follows from all events itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$VeniceTest::test_dir/..";
chomp(my $venv = `$VeniceTest::test_dir/python/venv`);
BAIL_OUT('there are no Python packages') if $?;
# A path that a socket's name has room for.
my $work = PostgreSQL::Test::Utils::tempdir_short();
my $airports = qr/^ ATL +\| +\d+ \|.*\n ORD +\| +\d+ \|/m;

$ENV{LC_ALL} = 'C.UTF-8';
chdir $top or BAIL_OUT("cannot go to $top: $!");
for my $pattern (qw(lambda kappa hybrid))
{
	my ($output, $errors) = ('', '');

	unlink "$work/postgresql.log";
	my $ended = IPC::Run::run([ 'examples/patterns/job', $work, "$venv/bin/python", $pattern ], '>', \$output, '2>', \$errors);

	ok($ended, "$pattern: the answer is right") or diag("$output\n$errors");
	like($output, $airports, "$pattern: it ends with where the aircraft are");
	unlike($errors, qr/WARNING|ERROR|Traceback/, "$pattern: and has nothing to complain of");
	unlike(slurp_file("$work/postgresql.log"), qr/ (?:WARNING|ERROR|FATAL|PANIC): /, "$pattern: nor has the server");
}

done_testing();
