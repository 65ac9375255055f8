# What people can do to ingestion while it runs, and what they see of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "venice.max_ingest_workers = 1\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $json = '{"key_format": "text", "value_format": "json"}';

sub create_server
{
	my ($dbname) = @_;

	$node->safe_psql($dbname, qq{
		CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});
	return;
}

sub create_store
{
	my ($dbname, $store, $topic) = @_;

	$node->safe_psql($dbname, qq{
		SELECT venice.create_store('$store', 'id text', 'n int', 'k', '$json'::jsonb || '{"version_topic": "$topic"}')});
	return;
}

sub produce
{
	my ($topic, $first, $last) = @_;
	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

create_server('postgres');

# pause_ingestion returns when nothing is written any more; resume goes on where it stopped.
{
	my $topic = unique_name('paused');

	$kafka->topic($topic, 2);
	create_store('postgres', 'paused', $topic);
	$node->safe_psql('postgres', "SELECT venice.start_push('paused')");
	produce($topic, 1, 100);
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'paused'", '100', 'a push is on its way');
	$node->safe_psql('postgres', "SELECT venice.pause_ingestion('paused')");
	is($node->safe_psql('postgres', "SELECT DISTINCT state, pid IS NULL FROM venice.stat_ingestion WHERE store = 'paused'"), 'paused|t',
		'paused: no worker has it when the call returns');
	is($node->safe_psql('postgres', "SELECT state FROM venice.stores WHERE store = 'paused'"), 'paused', 'the store says so');
	produce($topic, 101, 200);
	$node->safe_psql('postgres', "SELECT venice.end_push('paused')");
	# Another store passes through the same worker meanwhile.
	my $other = unique_name('other');
	$kafka->topic($other, 1);
	create_store('postgres', 'other', $other);
	$node->safe_psql('postgres', "SELECT venice.start_push('other'); SELECT venice.end_push('other')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'other' AND version = 1", 'current', 'others are not paused');
	is($node->safe_psql('postgres', "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'paused'"), '100', 'a paused store reads nothing');
	$node->safe_psql('postgres', "SELECT venice.resume_ingestion('paused')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'paused' AND version = 1", 'current', 'resumed: the push completes');
	is($node->safe_psql('postgres', 'SELECT count(*), sum(n) FROM paused.records'), '200|20100', 'with all records');
}

# The same push id is the same push.
is($node->safe_psql('postgres', q{
	SELECT count(DISTINCT version) FROM (
		SELECT (venice.start_push('other', 'daily')).version UNION ALL SELECT (venice.start_push('other', 'daily')).version) p}),
	'1', 'starting a push twice is starting it once');

# An aborted push is gone when the call returns, even while it is loaded.
is($node->safe_psql('postgres', q{
	SELECT venice.abort_push('other');
	SELECT count(*) FROM pg_namespace WHERE nspname = 'other_v2'}), "\n0", 'abort_push drops what was loaded');
is($node->safe_psql('postgres', "SELECT state FROM venice.pushes WHERE push_id = 'daily'"), 'aborted', 'the push says so');

# A deferred swap waits for whoever asked for it.
$node->safe_psql('postgres', q{SELECT venice.start_push('other', 'deferred'); SELECT venice.end_push('other', swap => false)});
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'other' AND push_id = 'deferred'", 'ready', 'a deferred push becomes ready');
$node->safe_psql('postgres', "SELECT venice.swap_version('other', 3)");
is($node->safe_psql('postgres', "SELECT state FROM venice.versions WHERE store = 'other' AND version = 3"), 'current', 'and current when told to');

# wait_for_push ends with the push, whatever becomes of it.
{
	my $topic = unique_name('waited');

	$kafka->topic($topic, 1);
	create_store('postgres', 'waited', $topic);
	produce($topic, 1, 10);
	$node->safe_psql('postgres', "SELECT venice.start_push('waited'); SELECT venice.end_push('waited')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('waited', timeout => '60 s')");
	is($node->safe_psql('postgres', "SELECT state FROM venice.versions WHERE store = 'waited' AND version = 1"), 'current', 'wait_for_push returns when the version is current');
}

# Every database has its own workers; one worker slot serves both in turn.
{
	my ($first, $second) = (unique_name('first'), unique_name('second'));

	$kafka->topic($_, 2) for $first, $second;
	$node->safe_psql('postgres', 'CREATE DATABASE second');
	$node->safe_psql('second', 'CREATE EXTENSION venice');
	create_server('second');
	create_store('postgres', 'shared', $first);
	create_store('second', 'shared', $second);
	# The first one's push stays open and would keep the only worker for ever.
	$node->safe_psql('postgres', "SELECT venice.start_push('shared')");
	produce($first, 1, 10);
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'shared'", '10', 'the first database has the worker');
	produce($second, 1, 20);
	$node->safe_psql('second', "SELECT venice.start_push('shared'); SELECT venice.end_push('shared')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'shared' AND version = 1", 'current', 'the second gets its turn',
		dbname => 'second');
	is($node->safe_psql('second', 'SELECT count(*) FROM shared.records'), '20', 'and has its own records');
	$node->safe_psql('postgres', "SELECT venice.end_push('shared')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'shared' AND version = 1", 'current', 'so does the first again');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM shared.records'), '10', 'with its own');
}

# Statistics are for the store's owner and for who may see everybody's.
$node->safe_psql('postgres', 'CREATE ROLE nobody; CREATE ROLE monitor; GRANT pg_read_all_stats TO monitor');
is($node->safe_psql('postgres', 'SET ROLE nobody; SELECT count(*) FROM venice.stat_ingestion; SELECT count(*) FROM venice_internal.ingestion_units()'),
	"0\n0", 'others see nothing');
isnt($node->safe_psql('postgres', 'SET ROLE monitor; SELECT count(*) FROM venice.stat_ingestion'), '0', 'a monitor does');
like(sql_error($node, q{SET ROLE nobody; SELECT venice.pause_ingestion('other')}), qr/^42501: /, 'others do not pause a store');
like(sql_error($node, 'SET ROLE nobody; SELECT venice.resume_ingestion()'), qr/^42501: /, 'nor resume a database');

# A copy of a database does not ingest before it is told to.
{
	my $topic = unique_name('copied');

	$kafka->topic($topic, 1);
	create_store('postgres', 'copied', $topic);
	$node->safe_psql('postgres', "SELECT venice.start_push('copied')");
	$node->safe_psql('postgres', 'UPDATE venice.node SET system_identifier = 1');
	wait_for_sql($node, "SELECT DISTINCT state FROM venice.stat_ingestion WHERE store = 'copied'", 'paused', 'a restored database does not ingest');
	is($node->safe_psql('postgres', "SELECT state FROM venice.stores WHERE store = 'copied'"), 'restored', 'its stores say so');
	produce($topic, 1, 5);
	$node->safe_psql('postgres', 'SELECT venice.resume_ingestion()');
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'copied'", '5', 'after resume_ingestion() it does');
}

# Off means off.
$node->append_conf('postgresql.conf', 'venice.ingestion = off');
$node->reload;
wait_for_sql($node, "SELECT count(*) FROM venice_internal.ingestion_units() WHERE pid IS NOT NULL", '0', 'venice.ingestion = off lets go of everything');

# Our processes are not in the way of whoever drops a database.
$node->safe_psql('postgres', 'CREATE DATABASE third');
$node->safe_psql('third', 'CREATE EXTENSION venice');
wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'third' AND backend_type = 'venice supervisor'", '1', 'a new database has its supervisor');
is(sql_error($node, 'DROP DATABASE third'), '', 'and can be dropped at once');

# The extension can go, and its workers with it.
$node->safe_psql('second', 'DROP EXTENSION venice CASCADE');
wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'second' AND backend_type LIKE 'venice%'", '0', 'without the extension there is no process',
	timeout_s => 30);

done_testing();
