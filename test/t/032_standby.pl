# A standby answers and changes nothing; promoted, it takes over.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $primary = venice_cluster('primary', allows_streaming => 1, conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $topic = unique_name('clicks');
my $json = '{"key_format": "text", "value_format": "json"}';

sub produce
{
	my ($first, $last) = @_;

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

$kafka->topic($topic, 2);
produce(1, 100);
$primary->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('clicks', 'id text', 'n int', 'k', '$json'::jsonb || '{"version_topic": "$topic"}');
	SELECT venice.create_store('volatile', 'id text', 'n int', 'k', '$json'::jsonb || '{"version_topic": "$topic", "unlogged": true}');
	SELECT venice.start_push(s), venice.end_push(s) FROM unnest('{clicks, volatile}'::text[]) s});
$primary->safe_psql('postgres', "CALL venice.wait_for_push('$_')") for qw(clicks volatile);

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', "SELECT venice.start_push('clicks')");
wait_for_sql($primary, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 2", '100', 'the primary is being pushed to');
$primary->wait_for_catchup($standby);

# What reads, works.
is($standby->safe_psql('postgres', q{
	SELECT n FROM clicks.get('k7');
	SELECT count(*) FROM clicks.batch_get('{k1, k2, nobody}');
	SELECT sum(n) FROM clicks.records}), "7\n2\n5050", 'look-ups on a standby');
for my $view (split ' ', $standby->safe_psql('postgres', q{SELECT string_agg(viewname, ' ' ORDER BY viewname) FROM pg_views WHERE schemaname = 'venice'}))
{
	is(sql_error($standby, "TABLE venice.$view"), '', "view $view on a standby");
}
is($standby->safe_psql('postgres', q{SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 2; SELECT store, phase FROM venice.stat_progress_push}),
	"100\nclicks|loading", 'they show how far the primary is');
like(sql_error($standby, "CALL venice.wait_for_push('clicks', timeout => '0')"), qr/^57014: /, 'a push in progress can be waited for on a standby');
is($standby->safe_psql('postgres', q{SELECT DISTINCT state FROM venice.stores}), 'ok', 'stores are not restored ones');
like(sql_error($standby, q{SELECT n FROM volatile.get('k7')}), qr/^55000: version 1 of store "volatile" is not on this server\n.*\nHINT: .*primary/, 'an unlogged version does not answer on a standby');

# A swap on the primary is seen.
produce(101, 200);
$primary->safe_psql('postgres', "SELECT venice.end_push('clicks')");
$primary->safe_psql('postgres', "CALL venice.wait_for_push('clicks')");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT n FROM clicks.get('k170'); SELECT current_version FROM venice.stores WHERE store = 'clicks'}), "170\n2", 'a swap is replicated');

# What changes, says where to do it.
for my $call (q{venice.create_store('s', 'id int', 'n int')}, q{venice.alter_store('clicks', '{"max_rejected": 1}')}, q{venice.drop_store('clicks')},
	q{venice.register_value_schema('clicks', '"int"', 1)}, q{venice.rebuild_functions('clicks')}, q{venice.start_push('clicks')}, q{venice.end_push('clicks')},
	q{venice.abort_push('clicks')}, q{venice.push('clicks', 'SELECT 1')}, q{venice.swap_version('clicks', 1)}, q{venice.rollback_version('clicks')},
	q{venice.drop_version('clicks', 1)}, q{venice.pause_ingestion()}, q{venice.pause_ingestion('clicks')}, q{venice.resume_ingestion()},
	q{venice.resume_ingestion('clicks')}, q{venice.check_server('k')}, q{venice.peek('k', 't')})
{
	like(sql_error($standby, "SELECT $call"), qr/^25006: cannot execute \w+\(\) during recovery\nHINT:  Run it on the primary server\.$/, "$call on a standby");
}
like(sql_error($standby, 'CALL venice.run_maintenance()'), qr/^25006: cannot execute run_maintenance\(\) during recovery\nHINT: /, 'run_maintenance on a standby');
is(sql_error($standby, "CALL venice.wait_for_push('clicks')"), '', 'a push can be waited for on a standby');

# Nothing of ours runs there, until it is promoted.
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'}), '0', 'no process runs on a standby');
$primary->safe_psql('postgres', "SELECT venice.start_push('clicks')");
wait_for_sql($primary, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 3", '200', 'a push is on its way on the primary');
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
produce(201, 300);
wait_for_sql($standby, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 3", '300', 'promoted, it goes on with the push');
$standby->safe_psql('postgres', "SELECT venice.end_push('clicks')");
$standby->safe_psql('postgres', "CALL venice.wait_for_push('clicks')");
is($standby->safe_psql('postgres', 'SELECT count(*), sum(n) FROM clicks.records'), '300|45150', 'and has every record once');
wait_for_sql($standby, q{SELECT n FROM volatile.get('k7')}, '7', 'what was unlogged is loaded again');

# A second primary from the same backup leaves Kafka alone if it is told to before it starts.
my $clone = PostgreSQL::Test::Cluster->new('clone');
$standby->backup('backup2');
$clone->init_from_backup($standby, 'backup2');
$clone->append_conf('postgresql.conf', 'venice.ingestion = off');
$clone->start;
$standby->safe_psql('postgres', "SELECT venice.start_push('clicks')");
$clone->safe_psql('postgres', "SELECT venice.start_push('clicks')");
wait_for_sql($standby, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 4", '300', 'the original ingests');
is($clone->safe_psql('postgres', q{SELECT state, messages FROM venice.stat_ingestion WHERE store = 'clicks' AND version = 4}), 'paused|', 'the copy does not');
is($clone->safe_psql('postgres', q{SELECT n FROM clicks.get('k7')}), '7', 'but reads');
log_is_clean($_, 'the log of the ' . $_->name . ' has nothing to worry about', qr/WAL stream|end-of-streaming|streaming replication|could not connect to the primary/) for $primary, $standby, $clone;

done_testing();
