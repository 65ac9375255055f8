# The extension and its databases come and go, while it works, and whether or not the statement succeeds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main', conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $ours = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'venice %' AND datname = };

# A database with the extension and a store that is being pushed to: its topic has more to come.
sub push_in
{
	my ($dbname, %options) = @_;
	my $topic = unique_name($dbname);

	$node->safe_psql('postgres', "CREATE DATABASE $dbname") unless $options{exists};
	$node->safe_psql($dbname, qq{
		CREATE EXTENSION IF NOT EXISTS venice;
		CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
		CREATE USER MAPPING FOR PUBLIC SERVER k;
		SELECT venice.create_store('clicks', 'id text', 'n int', 'k',
			'{"key_format": "text", "value_format": "json", "version_topic": "$topic"}');
		SELECT venice.start_push('clicks')});
	$kafka->topic($topic, 2);
	produce($topic, 1, 500);
	is_loaded($dbname, 500, "$dbname: a push is on its way");
	return $topic;
}

sub produce
{
	my ($topic, $first, $last) = @_;

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

sub is_loaded
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($dbname, $count, $name) = @_;

	return wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'clicks'", $count, $name, dbname => $dbname);
}

sub push_completes
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($dbname, $count, $name) = @_;

	$node->safe_psql($dbname, "SELECT venice.end_push('clicks')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'clicks' AND version = 1", 'current', $name, dbname => $dbname);
	is($node->safe_psql($dbname, 'SELECT count(*) FROM clicks.records'), $count, "$name, with every record once");
	return;
}

# An extension that is made and not committed was never there.
$node->safe_psql('postgres', 'CREATE DATABASE tried');
$node->safe_psql('tried', 'BEGIN; CREATE EXTENSION venice; ROLLBACK');
$node->safe_psql('tried', "BEGIN; CREATE EXTENSION venice; SELECT venice.create_store('s', 'id int', 'n int'); DROP EXTENSION venice CASCADE; ROLLBACK");
is($node->safe_psql('tried', "SELECT count(*) FROM pg_namespace WHERE nspname IN ('venice', 's')"), '0', 'CREATE EXTENSION that is rolled back leaves nothing');

# However often it comes and goes, at the end there is one supervisor if it is there, and none if it is not.
$node->safe_psql('tried', 'CREATE EXTENSION venice; DROP EXTENSION venice; CREATE EXTENSION venice; DROP EXTENSION venice');
$node->safe_psql('tried', 'BEGIN; CREATE EXTENSION venice; DROP EXTENSION venice; COMMIT') for 1 .. 3;
wait_for_sql($node, "$ours 'tried'", '0', 'dropped in the end: nothing runs');
$node->safe_psql('tried', 'CREATE EXTENSION venice; BEGIN; DROP EXTENSION venice; ROLLBACK');
$node->safe_psql('tried', 'BEGIN; DROP EXTENSION venice; CREATE EXTENSION venice; COMMIT') for 1 .. 3;
wait_for_sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'venice supervisor' AND datname = 'tried'}, '1',
	'there in the end: it has its supervisor');

# DROP EXTENSION says what depends on it, and then takes servers and triggers, never data.
my $topic = push_in('dropped');
$node->safe_psql('dropped', q{SELECT venice.create_store('plain', 'id int', 'n int'); SELECT venice.push('plain', 'VALUES (1, 10)')});
my (undef, undef, $refusal) = $node->psql('dropped', 'DROP EXTENSION venice');
like($refusal, qr/cannot drop extension venice because other objects depend on it/, 'DROP EXTENSION is refused while there is something of it');
like($refusal, qr/server k depends on foreign-data wrapper venice_kafka/, 'and names the servers');
like($refusal, qr/trigger venice_seal on table plain.records depends on/, 'and the triggers');
is_loaded('dropped', 500, 'which does ingestion no harm');
produce($topic, 501, 1000);
is_loaded('dropped', 1000, 'nor what comes afterwards');
$node->safe_psql('dropped', 'BEGIN; DROP EXTENSION venice CASCADE; ROLLBACK');
produce($topic, 1001, 1500);
is_loaded('dropped', 1500, 'DROP EXTENSION CASCADE that is rolled back does neither');
$node->safe_psql('dropped', 'DROP EXTENSION venice CASCADE');
is($node->safe_psql('dropped', 'SELECT count(*) FROM pg_foreign_server; SELECT count(*) FROM pg_user_mapping; SELECT count(*) FROM pg_trigger'), "0\n0\n0",
	'committed, it takes servers, user mappings and triggers');
is($node->safe_psql('dropped', 'TABLE plain.records; SELECT count(*) FROM clicks_v1.records; SELECT count(*) FROM clicks.swap_gate_v0'), "1|10\n1500\n0", 'and leaves all tables');
like(sql_error($node, 'SELECT n FROM plain.get(1)', dbname => 'dropped'), qr/^3F000: schema "venice_internal" does not exist/, 'whose functions are there and say that the extension is not');
wait_for_sql($node, "$ours 'dropped'", '0', 'and its processes leave');
is(sql_error($node, 'INSERT INTO plain.records VALUES (2, 20)', dbname => 'dropped'), '', 'what was a store is a table like others');

# Made again, the extension knows nothing of earlier stores, and can have new ones of their names.
$node->safe_psql('dropped', 'CREATE EXTENSION venice');
is($node->safe_psql('dropped', 'SELECT count(*) FROM venice.stores'), '0', 'an extension that is made again has no stores');
like(sql_error($node, "SELECT venice.create_store('plain', 'id int', 'n int')", dbname => 'dropped'), qr/^42P06: /, 'the schemas of earlier ones are in the way');
$node->safe_psql('dropped', 'DROP SCHEMA clicks CASCADE; DROP SCHEMA clicks_v1 CASCADE');
$topic = push_in('dropped', exists => 1);
push_completes('dropped', 500, 'after they are dropped it works as the first time');

# DROP DATABASE that fails costs nothing: its push goes on.
$topic = push_in('busy');
my $session = $node->background_psql('busy');
like(sql_error($node, 'DROP DATABASE busy'), qr/^55006: /, 'DROP DATABASE fails while somebody is connected');
like(sql_error($node, 'ALTER DATABASE busy RENAME TO idle'), qr/^55006: /, 'so does a new name');
like(sql_error($node, 'CREATE DATABASE copy TEMPLATE busy'), qr/^55006: /, 'and a copy');
produce($topic, 501, 1000);
is_loaded('busy', 1000, 'the push goes on');
$session->quit;

# In the midst of a push a database can be renamed, moved and copied, and the push goes on.
is(sql_error($node, 'ALTER DATABASE busy RENAME TO moved'), '', 'a database is renamed during a push');
produce($topic, 1001, 1500);
is_loaded('moved', 1500, 'and ingests under its new name');
my $directory = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$directory'");
is(sql_error($node, 'ALTER DATABASE moved SET TABLESPACE elsewhere'), '', 'is moved to another tablespace');
produce($topic, 1501, 2000);
is_loaded('moved', 2000, 'and ingests there');
is(sql_error($node, 'CREATE DATABASE copy TEMPLATE moved'), '', 'is copied');
produce($topic, 2001, 2500);
is_loaded('moved', 2500, 'and goes on');

# A copy reads and takes pushes through SQL, but does not ingest what its original does until it is told to.
wait_for_sql($node, "$ours 'copy'", '1', 'the copy has a supervisor of its own', timeout_s => 90);
is($node->safe_psql('copy', 'SELECT state FROM venice.stores; SELECT DISTINCT state FROM venice.stat_ingestion'), "restored\npaused", 'a copy is restored, and does not ingest');
is($node->safe_psql('copy', 'SELECT sum(messages) FROM venice.stat_ingestion'), '2000', 'it is as far as its original was');
like(sql_error($node, "SELECT venice.create_store('t', 'id text', 'n int', 'k', '{\"value_format\": \"json\", \"key_format\": \"text\"}'); SELECT venice.start_push('t')", dbname => 'copy'),
	qr/^55000: .*restored or copied/, 'nor does it begin anything new');
$node->safe_psql('copy', 'SELECT venice.resume_ingestion()');
push_completes('copy', 2500, 'told to, it goes on by itself');
push_completes('moved', 2500, 'and so does the original');

# A session may copy the database that it is in.
is(sql_error($node, 'CREATE DATABASE copy2 TEMPLATE copy', dbname => 'copy'), '', 'the current database is copied');
is($node->safe_psql('copy2', "SELECT n FROM clicks.get('k7')"), '7', 'with its stores');

# A template keeps no process, with or without connections allowed, and databases made from it are like any other.
$node->safe_psql('postgres', 'ALTER DATABASE copy2 IS_TEMPLATE true; ALTER DATABASE copy2 ALLOW_CONNECTIONS false');
wait_for_sql($node, "$ours 'copy2'", '0', 'a template has no process of ours');
is(sql_error($node, 'CREATE DATABASE made TEMPLATE copy2'), '', 'is copied in turn');
is($node->safe_psql('made', q{SELECT n FROM clicks.get('k7'); SELECT venice.push('clicks', 'VALUES (''x'', 1)'); SELECT n FROM clicks.get('x')}), "7\n2\n1", 'and the copy works');

# DROP DATABASE in the midst of a push.
$topic = push_in('gone');
produce($topic, 501, 5000);
is(sql_error($node, 'DROP DATABASE gone'), '', 'a database is dropped during a push');
is(sql_error($node, "DROP DATABASE $_"), '', "$_ is dropped") for qw(made copy moved tried dropped);
wait_for_sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'venice ingest%'}, '0', 'and the workers leave');
log_is_clean($node, 'the server log has nothing to worry about');

done_testing();
