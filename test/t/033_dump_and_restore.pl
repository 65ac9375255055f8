# What is dumped is restored as it was, by whom it belongs to, and leaves Kafka alone until it is told to.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main', extension => 0, conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $topic = unique_name('clicks');
my $directory = PostgreSQL::Test::Utils::tempdir();

sub produce
{
	my ($first, $last) = @_;

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

sub run_as
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, @command) = @_;
	my ($output, $errors) = run_command(\@command);

	unlike($errors, qr/error|warning/i, $name);
	return;
}

# Everything that people put on a store, as text.
sub picture
{
	my ($dbname) = @_;

	return $node->safe_psql($dbname, q{
		SET search_path = pg_catalog;
		SELECT store_name, server_name, options, paused, last_version FROM venice.store ORDER BY 1;
		SELECT store, version, state, schema, records, push_id, origin, rows FROM venice.versions ORDER BY 1, 2;
		SELECT store, version, topic, partition, kafka_offset, messages FROM venice.stat_ingestion ORDER BY 1, 2, 4;
		SELECT store, push_id, state, started_by FROM venice.pushes ORDER BY 1, 2;
		SELECT * FROM venice_internal.definition ORDER BY kind, project, name;
		SELECT feature, feature_type, expression, source_columns FROM venice.feature ORDER BY 1;
		SELECT output_name, output_type, keys FROM venice.service_feature ORDER BY 1;
		SELECT relation, parts, features, spine_columns, feature_columns, used_features, statistics, created_time FROM venice.training_set;
		SELECT audit_id, changed_time, role, action, kind, name, owner, before, after FROM venice.audit ORDER BY 1;
		SELECT n.nspname, n.nspowner::regrole, n.nspacl, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE nspname ~ '^(clicks|plain)' ORDER BY 1;
		SELECT oid::regclass::text AS name, relowner::regrole, relacl, relrowsecurity, reloptions FROM pg_class WHERE relnamespace::regnamespace::text ~ '^(clicks|plain)' ORDER BY name;
		SELECT oid::regprocedure::text AS name, proowner::regrole, proacl, obj_description(oid, 'pg_proc') FROM pg_proc WHERE pronamespace::regnamespace::text ~ '^(clicks|plain)' ORDER BY name;
		SELECT polrelid::regclass::text AS name, polname, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY name;
		SELECT tgrelid::regclass::text AS name, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY name, 2;
		SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid::regclass::text ~ '^(clicks|plain)' ORDER BY name;
		TABLE plain_history.rows ORDER BY arrival; TABLE venice.compacted_partition;
		SELECT relation, partitions, start_time, end_time, compacted FROM venice.histories;
		TABLE clicks.records ORDER BY id; TABLE plain.records; TABLE plain_v1.records});
}

# Reads, and once told to, ingests and pushes.
sub works
{
	my ($dbname, $who) = @_;

	wait_for_sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'venice supervisor' AND datname = current_database()}, '1', "$dbname: has its supervisor", dbname => $dbname);
	wait_for_sql($node, 'SELECT count(*) FROM venice.version_pointer', '2', "$dbname: has its pointers", dbname => $dbname);
	is($node->safe_psql($dbname, q{SELECT n FROM clicks.get('k7'); SELECT n FROM plain.get(1); SELECT store, state, current_version FROM venice.stores ORDER BY 1}),
		"7\n20\nclicks|restored|1\nplain|ok|2", "$dbname: reads");
	is($node->safe_psql($dbname, q{SELECT n FROM model.get(1); SELECT * FROM model.get(0)}), "20\n|{\"n\": \"not_found\"}", "$dbname: through services, too");
	is($node->safe_psql($dbname, "SET ROLE $who; SET search_path = pg_catalog; SELECT venice.refresh_training_set('public.trained'); SELECT id, more FROM public.trained"),
		"1\n1|2", "$dbname: makes training sets again");
	is($node->safe_psql($dbname, qq{
		SET ROLE $who;
		SELECT venice.alter_entity('team.thing', '{"description": "altered"}'); SELECT venice.drop_source('team.seen', force => true);
		SELECT action, name FROM venice.audit ORDER BY audit_id DESC LIMIT 3}), "\n\ndrop|seen\ndrop|seen_n\@1\nalter|thing", "$dbname: has a registry that goes on");
	is($node->safe_psql($dbname, q{SET ROLE reader; SELECT n FROM plain.get(1); SELECT count(*) FROM plain.records}), "20\n1", "$dbname: for those who could read it");
	like(sql_error($node, 'SET ROLE stranger; SELECT n FROM plain.get(1)', dbname => $dbname), qr/^42501: /, "$dbname: and nobody else");
	like(sql_error($node, 'UPDATE plain.records SET n = 0', dbname => $dbname), qr/^55000: cannot change "plain.records" directly/, "$dbname: complete versions are sealed");
	is($node->safe_psql($dbname, q{SELECT state, pid, messages FROM venice.stat_ingestion WHERE version = 2}), 'paused||100', "$dbname: does not ingest");
	is($node->safe_psql($dbname, "SET ROLE $who; SELECT venice.rollback_version('plain'); SELECT n FROM plain.get(1)"), "1\n10", "$dbname: goes back");
	is($node->safe_psql($dbname, "SET ROLE $who; SELECT venice.push('plain', 'VALUES (1, 30)'); SELECT n FROM plain.get(1)"), "3\n30", "$dbname: takes pushes through SQL");
	is($node->safe_psql($dbname, q{SELECT string_agg(n::text, ' ' ORDER BY arrival) FROM plain_history.rows}), '10 20 5 10 30', "$dbname: goes on with its history behind what it had");
	$node->safe_psql($dbname, "SET ROLE $who; SELECT venice.resume_ingestion(); SELECT venice.end_push('clicks')");
	$node->safe_psql($dbname, "CALL venice.wait_for_push('clicks')");
	is($node->safe_psql($dbname, q{SELECT count(*) FROM clicks.records; SELECT n FROM clicks.get('k170')}), "200\n170", "$dbname: told to, it goes on with the push");
	return;
}

# The database's owner is no superuser, and owns the stores.
$kafka->topic($topic, 1);
produce(1, 100);
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE ROLE reader; CREATE ROLE stranger; CREATE DATABASE original OWNER tenant; GRANT reader, stranger TO tenant');
$node->safe_psql('original', qq{
	CREATE EXTENSION venice;
	GRANT USAGE ON FOREIGN DATA WRAPPER venice_kafka TO tenant;
	SET ROLE tenant;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('clicks', 'id text', 'n int', 'k', '{"key_format": "text", "value_format": "json", "version_topic": "$topic"}');
	SELECT venice.start_push('clicks', 'first'); SELECT venice.end_push('clicks');
	SELECT venice.create_store('plain', 'id int', 'n int');
	SELECT venice.push('plain', 'VALUES (1, 10)', 'one');
	GRANT USAGE ON SCHEMA plain TO reader; GRANT SELECT ON plain.records TO reader;
	ALTER TABLE plain.records ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON plain.records USING (id > 0);
	CREATE INDEX by_n ON plain.records (n);
	RESET ROLE; GRANT CREATE ON SCHEMA public TO tenant; SET ROLE tenant;
	CREATE TABLE seen (id int, at timestamptz, n int);
	SELECT venice.create_project('team', options => '{"description": "A team"}');
	SELECT venice.create_entity('team.thing', 'id int');
	SELECT venice.create_source('team.seen', relation => 'seen', event_time => 'at');
	SELECT venice.create_source('team.plain', store => 'plain');
	SELECT venice.create_feature_view('team.seen_n', '{team.thing}', 'team.seen', 'n + 1 AS more', online => false);
	INSERT INTO seen VALUES (1, '2020-01-01', 1);
	SELECT venice.create_training_set('trained', 'SELECT 1 AS id, now() AS event_time', '{team.seen_n:more}');
	SELECT venice.create_feature_view('team.plain_n', '{team.thing}', 'team.plain', 'n', options => '{"tags": {"tier": "gold"}}');
	SELECT venice.create_service('model', '{team.plain_n:n}');
	SELECT venice.push('plain', 'VALUES (1, 20)', 'two')});
$node->safe_psql('original', "CALL venice.wait_for_push('clicks')");
# Of another server, whose transactions had greater ids.
$node->safe_psql('original', q{INSERT INTO plain_history.rows (id, n, event_time) VALUES (1, 5, '2020-01-01 UTC'); UPDATE plain_history.rows SET arrival = arrival + (1::bigint << 50)});
wait_for_sql($node, q{SELECT compacted FROM venice.histories}, '1', 'a late row has a partition', dbname => 'original');
$node->safe_psql('original', "SELECT venice.start_push('clicks', 'second')");
wait_for_sql($node, 'SELECT sum(messages) FROM venice.stat_ingestion WHERE version = 2', '100', 'a push is on its way', dbname => 'original');
wait_for_sql($node, q{SELECT count(*) FROM venice.store_version WHERE version = 0}, '0', 'maintenance is done', dbname => 'original');

run_as('pg_dump by a superuser', 'pg_dump', '-d', $node->connstr('original'), '-Fc', '-f', "$directory/super.dump");
run_as('pg_dump as text', 'pg_dump', '-d', $node->connstr('original'), '-f', "$directory/super.sql");
run_as('pg_dump in a directory', 'pg_dump', '-d', $node->connstr('original'), '-Fd', '-j', '2', '-f', "$directory/super.dir");
run_as('pg_dump by the owner of the database', 'pg_dump', '-d', $node->connstr('original'), '-U', 'tenant', '-Fc', '-f', "$directory/owner.dump");
run_as('pg_dump of data only', 'pg_dump', '-d', $node->connstr('original'), '-a', '-n', 'plain', '-Fc', '-f', "$directory/data.dump");
my $picture = picture('original');
produce(101, 200);

$node->safe_psql('postgres', "CREATE DATABASE $_ OWNER tenant") for qw(archive text jobs owned);
run_as('pg_restore by a superuser', 'pg_restore', '-d', $node->connstr('archive'), "$directory/super.dump");
run_as('psql by a superuser', 'psql', '-X', '-q', '-d', $node->connstr('text'), '-v', 'ON_ERROR_STOP=1', '-f', "$directory/super.sql");
run_as('pg_restore with jobs', 'pg_restore', '-d', $node->connstr('jobs'), '-j', '3', "$directory/super.dir");

# A superuser has made the extension; the rest is the owner's own.
$node->safe_psql('owned', 'CREATE EXTENSION venice; GRANT USAGE ON FOREIGN DATA WRAPPER venice_kafka TO tenant');
my $list = "$directory/list";
append_to_file($list, join("\n", grep { !/ (EXTENSION|COMMENT) - (EXTENSION )?venice|ACL - FOREIGN DATA WRAPPER|FOREIGN DATA WRAPPER venice/ } split /\n/, (run_command([ 'pg_restore', '-l', "$directory/owner.dump" ]))[0]));
run_as('pg_restore by the owner of the database', 'pg_restore', '-d', $node->connstr('owned'), '-U', 'tenant', '-L', $list, "$directory/owner.dump");

for my $dbname (qw(archive text jobs owned))
{
	is(picture($dbname), $picture, "$dbname: is as it was");
	works($dbname, $dbname eq 'owned' ? 'tenant' : 'postgres');
}

# Data alone goes into the tables that are there, if a superuser says that he means it.
$node->safe_psql('archive', 'SET venice.allow_direct_dml = on; DELETE FROM plain.records');
my (undef, $errors) = run_command([ 'pg_restore', '-a', '-d', $node->connstr('archive'), '-t', 'records', "$directory/data.dump" ]);
like($errors, qr/cannot change "plain\.records" directly/, 'a complete version is not written into by chance');
$ENV{PGOPTIONS} = '-c venice.allow_direct_dml=on';
run_as('data only', 'pg_restore', '-a', '-d', $node->connstr('archive'), '-t', 'records', "$directory/data.dump");
delete $ENV{PGOPTIONS};
is($node->safe_psql('archive', 'SELECT n FROM plain.get(1)'), '20', 'with venice.allow_direct_dml it is');
log_is_clean($node, 'the server log has nothing to worry about');

done_testing();
