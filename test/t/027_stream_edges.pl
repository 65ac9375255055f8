# What is rare in real-time topics: records that no rule can resolve, columns that come while records do, tables that go,
# pushes that begin where something is amiss, and whatever else has nothing to wait for but itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");

# A store of one topic with a first version, and the topic's name.
sub make_store
{
	my ($name, $partitions, $options, $columns) = @_;
	my $topic = unique_name($name);

	$kafka->topic($topic, $partitions);
	$node->safe_psql('postgres', sprintf(q{SELECT venice.create_store('%s', 'id int', '%s', NULL,
		'{"key_format": "text", "value_format": "json", "real_time_topics": [{"server": "k", "topic": "%s"}]%s}')},
		$name, $columns // 'n int', $topic, $options ? ", $options" : ''));
	push_version($name);
	return $topic;
}

sub push_version
{
	my ($name) = @_;

	$node->safe_psql('postgres', "SELECT venice.push('$name', 'SELECT 1, 1')");
	return $node->safe_psql('postgres', "CALL venice.wait_for_push('$name', timeout => '60 s')");
}

sub produce
{
	my ($topic, @records) = @_;

	return $kafka->produce($topic, \@records, key => 'text', value => 'text');
}

sub rows { return "SELECT string_agg(format('%s:%s', id, n), ' ' ORDER BY id) FROM $_[0].records"; }

# What a store's rule cannot resolve is a bad record, and stops nothing.
{
	my %update = (headers => { venice_operation => 'update' });
	my $whole = make_store('whole', 1, '"conflict_resolution": "row"');
	my $parts = make_store('parts', 1, '"conflict_resolution": "field"');

	produce($whole, { key => '2', value => '{"n": 2}' }, { key => '3', value => '{"n": 3}', %update }, { key => '4', value => '{"n": 4}' });
	wait_for_sql($node, rows('whole'), '1:1 2:2 4:4', 'by row, records after a partial one are read');
	produce($parts, { key => '2', value => '{"n": 2}', %update }, { key => '3', value => '{"n": {"$add": 3}}', %update }, { key => '4', value => '{"n": 4}' });
	wait_for_sql($node, rows('parts'), '1:1 2:2 4:4', 'by field, those after a sum are');
	is($node->safe_psql('postgres', "SELECT string_agg(format('%s/%s %s', store, kafka_offset, sqlstate), ', ' ORDER BY store) FROM venice.rejected_records"),
		'parts/1 0A000, whole/1 0A000', 'which are kept');
}

# Who has added a column may write it at once, however busy those are who are to know.
{
	my $topic = make_store('grows', 1);
	my $supervisor = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'venice supervisor'");

	like($supervisor, qr/^\d+$/, 'there is a supervisor');
	produce($topic, { key => '2', value => '{"n": 2, "later": "lost"}' });
	wait_for_sql($node, rows('grows'), '1:1 2:2', 'a worker reads the topic');
	kill 'STOP', $supervisor;
	$node->safe_psql('postgres', q{SELECT venice.alter_store('grows', value => 'n int, later text')});
	produce($topic, { key => '3', value => '{"n": 3, "later": "kept"}' });
	wait_for_sql($node, q{SELECT (SELECT count(*) FROM grows.records WHERE id = 3) > 0 OR
		(SELECT bool_and(state <> 'caught_up' AND state <> 'running') FROM venice.stat_ingestion WHERE store = 'grows')},
		't', 'the worker has written, or has let go');
	kill 'CONT', $supervisor;
	wait_for_sql($node, "SELECT string_agg(format('%s:%s', id, later), ' ' ORDER BY id) FROM grows.records", '1: 2: 3:kept', 'no value was overlooked');
}

# A version whose table somebody has dropped keeps nobody.
{
	my $topic = make_store('dropped', 1);

	push_version('dropped');
	produce($topic, { key => '2', value => '{"n": 2}' });
	wait_for_sql($node, rows('dropped_v1'), '1:1 2:2', 'two versions are written to');
	$node->safe_psql('postgres', 'DROP TABLE dropped_v1.records CASCADE');
	produce($topic, { key => '3', value => '{"n": 3}' });
	wait_for_sql($node, rows('dropped'), '1:1 2:2 3:3', 'one is left, and goes on');
}

# Nor does one whose table somebody keeps locked, that is rebuilt, say.
{
	my $topic = make_store('locked', 1);
	my $session = $node->background_psql('postgres');

	push_version('locked');
	$session->query_safe('BEGIN; LOCK TABLE locked_v1.records IN SHARE MODE');
	produce($topic, { key => '2', value => '{"n": 2}' });
	wait_for_sql($node, rows('locked'), '1:1 2:2', 'the others do not wait for a lock');
	wait_for_sql($node, "SELECT last_error FROM venice.stat_ingestion WHERE store = 'locked' AND version = 1", qr/lock timeout/, 'and it is seen who does');
	is($node->safe_psql('postgres', rows('locked_v1')), '1:1', 'it has to');
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_sql($node, rows('locked_v1'), '1:1 2:2', 'until it has the record, too');
}

# The end of an incremental push is read once in each partition, though a new version reads it again.
{
	my $topic = make_store('ended', 2);
	my $push = "SELECT state FROM venice.pushes WHERE store = 'ended' AND push_id = 'p'";

	produce($topic, map { { headers => { venice_push_start => 'p' }, partition => $_ } } 0, 1);
	produce($topic, { key => '2', value => '{"n": 2}', partition => 0 }, { headers => { venice_push_end => 'p' }, partition => 0 });
	wait_for_sql($node, rows('ended'), '1:1 2:2', 'half of an incremental push');
	push_version('ended') for 1 .. 2;
	is($node->safe_psql('postgres', $push), 'started', 'is not all of it');
	produce($topic, { headers => { venice_push_end => 'p' }, partition => 1 });
	wait_for_sql($node, $push, 'completed', 'the other half is');
}

# A version that is copied from one that has left goes on from there, in each partition.
{
	my $topic = make_store('leaver', 2, '"write_mode": "partial"');

	push_version('leaver');
	$node->safe_psql('postgres', 'ALTER TABLE leaver.records DROP CONSTRAINT records_pkey');
	produce($topic, { key => '2', value => '{"n": {"$add": 2}}', partition => 1 });
	wait_for_sql($node, rows('leaver_v1'), '1:1 2:2', 'the backup goes on');
	wait_for_sql($node, q{SELECT count(*) FROM venice.stat_ingestion WHERE store = 'leaver' AND version = 2 AND last_error ~ 'no primary key'},
		'1', 'the current version has left one of two partitions');
	$node->safe_psql('postgres', q{SELECT venice.repush('leaver', 'SELECT * FROM current')});
	$node->safe_psql('postgres', "CALL venice.wait_for_push('leaver', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('leaver')), '1:1 2:2', 'its copy has what it had not');
	produce($topic, { key => '1', value => '{"n": {"$add": 1}}', partition => 0 }, { key => '2', value => '{"n": {"$add": 2}}', partition => 1 });
	wait_for_sql($node, rows('leaver'), '1:2 2:4', 'and gets what comes, once');
}

# To be near the end of a topic is enough to join the other versions, but not to answer in their place.
{
	my $topic = make_store('near', 1, '"history": true, "max_lag": 1000000');

	produce($topic, map { { key => '2', value => qq({"n": $_}) } } 1 .. 2000);
	wait_for_sql($node, rows('near'), '1:1 2:2000', 'the first version has all');
	$node->safe_psql('postgres', q{
		CREATE FUNCTION slow(n int) RETURNS boolean LANGUAGE plpgsql AS
			'BEGIN IF n % 10 = 0 THEN PERFORM pg_catalog.pg_sleep(0.02); END IF; RETURN true; END';
		ALTER TABLE near.records ADD CONSTRAINT slow CHECK (slow(n));
		ALTER SYSTEM SET venice.batch_rows = 50;
		SELECT pg_reload_conf();
	});
	push_version('near');
	is($node->safe_psql('postgres', rows('near')), '1:1 2:2000', 'the second answers when it has what the first had');
	produce($topic, { key => '2', value => '{"n": 2001}' });
	wait_for_sql($node, rows('near'), '1:1 2:2001', 'and goes on');
	is($node->safe_psql('postgres', 'SELECT count(*), max(n), (SELECT n FROM near_history.rows WHERE id = 2 ORDER BY arrival DESC LIMIT 1) FROM near_history.rows'),
		'2002|2001|2001', 'the history has each write once');
}

log_is_clean($node, 'the log has no complaints but those that were asked for', qr/has no primary key/);
done_testing();
