# However few workers there are, every store proceeds; and no process of ours is in
# anybody's way.
use strict;
use warnings;
use FindBin;
use POSIX ();
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main', conf => "venice.max_ingest_workers = 2\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $stores = 200;
my $topic = unique_name('many');

sub create_stores
{
	my ($prefix, $count, $pattern) = @_;

	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$prefix' || i, 'id text', 'n int', 'k',
			'{"key_format": "text", "value_format": "json", "version_topic": "$pattern"}') FROM generate_series(1, $count) i;
		SELECT venice.start_push('$prefix' || i) FROM generate_series(1, $count) i});
	return;
}

sub produce
{
	my ($name, $count) = @_;

	$kafka->produce($name, [ map { { key => "k$_", value => { n => $_ } } } 1 .. $count ], key => 'text', value => 'json');
	return;
}

# The processes of ours with such a name, "backend_type" as in pg_stat_activity.
sub pids
{
	my ($type) = @_;

	return split /\n/,
	  $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");

# Many stores, two workers: none waits for another's end.
$kafka->topics([ map { "${topic}_s$_" } 1 .. $stores ]);
produce("${topic}_s$_", 50) for 1 .. $stores;
create_stores('s', $stores, "${topic}_{store}");
wait_for_sql($node, 'SELECT count(*), sum(messages) FROM venice.stat_ingestion', join('|', $stores, 50 * $stores),
	'all stores are read while none is at its end', timeout_s => 120);
cmp_ok(scalar pids('venice ingest worker'), '<=', 2, 'by no more workers than there may be');
$node->safe_psql('postgres', "SELECT venice.end_push('s' || i) FROM generate_series(1, $stores) i");
wait_for_sql($node, "SELECT count(*) FROM venice.versions WHERE state = 'current' AND version = 1", $stores,
	'and all become current', timeout_s => 120);

# Who supervises them all has little to do, and little to remember.
{
	my ($supervisor) = pids('venice supervisor');
	my ($memory_kb) = slurp_file("/proc/$supervisor/status") =~ /^RssAnon:\s+(\d+) kB/m;
	my @stat = split ' ', slurp_file("/proc/$supervisor/stat") =~ s/.*\) //r;
	my $cpu_s = ($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());

	cmp_ok($memory_kb, '<', 32 * 1024, 'the supervisor takes little memory');
	cmp_ok($cpu_s, '<', 10, 'and little processor time');
	note("supervisor: $memory_kb kB, $cpu_s s");
}

# One partition can be read only once by a Kafka client, of which a worker has few: readers of
# one topic take turns.
$kafka->topic("${topic}_common", 2);
produce("${topic}_common", 100);
create_stores('common', 12, "${topic}_common");
wait_for_sql($node, "SELECT count(*), sum(messages) FROM venice.stat_ingestion WHERE store LIKE 'common%'", '24|1200',
	'many stores of one topic are read');
$node->safe_psql('postgres', "SELECT venice.end_push('common' || i) FROM generate_series(1, 12) i");
wait_for_sql($node, "SELECT count(*) FROM venice.versions WHERE state = 'current' AND version = 1 AND store LIKE 'common%'", '12', 'and become current');
wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('venice ingest worker', 'venice maintenance')", '0',
	'then the workers leave');

# A dump that runs holds the swap up, and the swap comes by itself when it is over.
{
	my $dump = $node->background_psql('postgres');

	$dump->query_safe('BEGIN; LOCK TABLE s1.swap_gate_v1 IN ACCESS SHARE MODE');
	$node->safe_psql('postgres', "SELECT venice.start_push('s1'); SELECT venice.end_push('s1')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 's1' AND version = 2", 'waiting_for_dump', 'a swap waits for a dump');
	$dump->query_safe('COMMIT');
	$dump->quit;
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 's1' AND version = 2", 'current', 'and is made when it is over');
}

# A version that a snapshot can still see is not dropped.
{
	my $reader = $node->background_psql('postgres');

	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT n FROM s1.get(\'k7\')');
	$node->safe_psql('postgres', "SELECT venice.alter_store('s1', '{\"versions_to_keep\": 1}')");
	$node->safe_psql('postgres', "SELECT venice.push('s1', 'SELECT ''x'', 1', options => '{}')");
	is($reader->query_safe("SELECT n FROM s1.get('k7')"), '7', 'an old snapshot reads the old version');
	$reader->query_safe('COMMIT');
	$reader->quit;
	wait_for_sql($node, "SELECT string_agg(version || ' ' || state, ', ') FROM venice.versions WHERE store = 's1'", '3 current',
		'which is dropped when nobody can see it any more');
}

done_testing();
