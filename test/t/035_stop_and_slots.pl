# Stopping the server never takes long, starting it loses nothing, and neither slots nor settings that people choose are in the way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = venice_cluster('main', conf => "venice.batch_rows = 200\nvenice.batch_delay = 5ms\n");
my $kafka = VeniceTest::Kafka->new;
my $bootstrap = $kafka->bootstrap;
my $json = '{"key_format": "text", "value_format": "json"}';

sub produce
{
	my ($topic, $first, $last) = @_;

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

# A store with a push on its way, in a database with a server k.
sub push_to
{
	my ($dbname, $store) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, 2);
	$node->safe_psql($dbname, qq{
		SELECT venice.create_store('$store', 'id text', 'n int', 'k', '$json'::jsonb || '{"version_topic": "$topic"}');
		SELECT venice.start_push('$store')});
	return $topic;
}

sub is_loaded
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($dbname, $store, $count, $name, %options) = @_;

	return wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store'", $count, $name, dbname => $dbname, %options);
}

sub push_completes
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($dbname, $store, $count, $name) = @_;

	$node->safe_psql($dbname, "SELECT venice.end_push('$store')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = 1", 'current', $name, dbname => $dbname);
	is($node->safe_psql($dbname, "SELECT count(*) FROM $store.records"), $count, "$name, with every record once");
	return;
}

sub stops_soon
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($mode, $name) = @_;
	my $begin = time;

	$node->stop($mode);
	return cmp_ok(time - $begin, '<', 5, $name);
}

sub configure
{
	my (%settings) = @_;

	$node->append_conf('postgresql.conf', join('', map { "$_ = $settings{$_}\n" } sort keys %settings));
	return;
}

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");

# A fast stop takes no time, whatever is going on; the start goes on where it was.
my $topic = push_to('postgres', 'loading');
produce($topic, 1, 20000);
wait_for_sql($node, q{SELECT sum(messages) > 0 FROM venice.stat_ingestion WHERE store = 'loading'}, 't', 'a load is on its way');
stops_soon('fast', 'a fast stop in the midst of a load');
$node->start;
is_loaded('postgres', 'loading', 20000, 'started, it goes on');

# An index that takes for ever: its expression waits for us.
$node->safe_psql('postgres', q{
	CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN IF n = 7 THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(7); END IF; RETURN n; END';
	CREATE INDEX by_n ON loading.records (public.slow(n))});
my $session = $node->background_psql('postgres');
$session->query_safe('SELECT pg_advisory_lock(7)');
$node->safe_psql('postgres', q{SELECT venice.end_push('loading')});
wait_for_sql($node, q{SELECT phase FROM venice.stat_progress_push WHERE store = 'loading'}, 'checking', 'an index is being built');
stops_soon('fast', 'a fast stop in the midst of an index');
$session->quit;
$node->start;
wait_for_sql($node, q{SELECT state FROM venice.versions WHERE store = 'loading' AND version = 1}, 'current', 'started, it is built again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM loading.records'), '20000', 'the push completes, with every record once');

$topic = push_to('postgres', 'silent');
produce($topic, 1, 100);
is_loaded('postgres', 'silent', 100, 'a load is on its way');
$kafka->signal('STOP');
$node->safe_psql('postgres', "SELECT venice.end_push('silent')");
wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'venice ingest worker'", '1', 'a worker waits for a broker that does not answer');
stops_soon('fast', 'a fast stop while a broker does not answer');
$node->start;
wait_for_sql($node, "SELECT state IN ('running', 'retrying') FROM venice.stat_ingestion WHERE store = 'silent' LIMIT 1", 't', 'started, it waits again');
stops_soon('smart', 'a smart stop, which waits for sessions only');
$kafka->signal('CONT');
$node->start;
wait_for_sql($node, q{SELECT state FROM venice.versions WHERE store = 'silent' AND version = 1}, 'current', 'when the broker answers the push completes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM silent.records'), 100, 'and with every record once');

# A reload is enough to turn ingestion off and on, and to give workers less memory.
$topic = push_to('postgres', 'reloaded');
produce($topic, 1, 100);
is_loaded('postgres', 'reloaded', 100, 'a load is on its way');
configure('venice.ingestion' => 'off');
$node->reload;
wait_for_sql($node, q{SELECT count(*) FROM venice_internal.ingestion_units() WHERE pid IS NOT NULL; SELECT DISTINCT state FROM venice.stat_ingestion WHERE store = 'reloaded'}, "0\npaused", 'off: workers let go');
produce($topic, 101, 200);
configure('venice.ingestion' => 'on', 'venice.worker_memory' => '16MB', 'venice.batch_rows' => 10);
$node->reload;
is_loaded('postgres', 'reloaded', 200, 'on: they go on');
push_completes('postgres', 'reloaded', 200, 'the push completes');

# What people set for their sessions is not for the workers.
$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET default_transaction_read_only = on; ALTER DATABASE postgres SET default_transaction_isolation = serializable;
	ALTER DATABASE postgres SET default_transaction_deferrable = on; ALTER DATABASE postgres SET statement_timeout = '1ms';
	ALTER DATABASE postgres SET search_path = nowhere; ALTER DATABASE postgres SET row_security = off;
	ALTER ROLE ALL SET idle_in_transaction_session_timeout = '1ms';});
configure(default_transaction_read_only => 'on', default_transaction_isolation => 'serializable', statement_timeout => '1ms');
$node->restart;
$ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 -c default_transaction_isolation=read\\ committed -c idle_in_transaction_session_timeout=0';
$topic = unique_name('set');
$kafka->topic($topic, 2);
produce($topic, 1, 100);
$node->safe_psql('postgres', qq{
	SELECT venice.create_store('set', 'id text', 'n int', 'k', '$json'::jsonb || '{"version_topic": "$topic"}');
	SELECT venice.start_push('set'); SELECT venice.end_push('set')});
$node->safe_psql('postgres', "CALL venice.wait_for_push('set', timeout => '60 s')");
is($node->safe_psql('postgres', "SELECT count(*) FROM set.records"), '100', 'a push in a database that is read-only, serializable and in a hurry');
$node->safe_psql('postgres', "ALTER DATABASE postgres RESET ALL; ALTER ROLE ALL RESET ALL");
configure(default_transaction_read_only => 'off', default_transaction_isolation => q{'read committed'}, statement_timeout => 0);
delete $ENV{PGOPTIONS};

# Too few slots: who is left out says so, the log says it once, and a free slot is taken.
configure(max_worker_processes => 3, max_parallel_workers => 0, max_logical_replication_workers => 0);
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', qq{
	CREATE EXTENSION venice;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});
wait_for_sql($node, "SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE backend_type = 'venice supervisor'", '2', 'launcher and two supervisors have all the slots');
$topic = push_to('postgres', 'left_out');
produce($topic, 1, 100);
ok($node->wait_for_log(qr/WARNING:  could not start a venice (ingest worker|maintenance): out of background worker slots/), 'the log says that there is no slot');
is($node->safe_psql('postgres', q{SELECT DISTINCT state FROM venice.stat_ingestion WHERE store = 'left_out'}), 'waiting_for_worker', 'and the push that it waits');
like(sql_error($node, "SELECT venice.check_server('k')"), qr/^53000: out of background worker slots\nHINT: .*max_worker_processes/, 'so does who needs one now');
$node->safe_psql('postgres', q{SELECT venice.alter_store('left_out', '{"max_rejected": 1}')}) for 1 .. 10;
my @warnings = slurp_file($node->logfile) =~ /WARNING:  could not start a venice ingest worker/g;
cmp_ok(@warnings, '<=', 1, 'not more than once, however often it is tried');
$node->safe_psql('postgres', 'DROP DATABASE second');
is_loaded('postgres', 'left_out', 100, 'a slot that becomes free is taken');
push_completes('postgres', 'left_out', 100, 'and the push completes');
log_is_clean($node, 'the server log has nothing to worry about, and nothing twice a second', qr/out of background worker slots/, qr/could not start a venice/);

done_testing();
