# check_server and peek answer from any backend, in bounded time, with the rights
# and the user mapping of whoever asks; neither needs preloading.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "shared_preload_libraries = ''\n");
my $kafka = VeniceTest::Kafka->shared;
my $registry = VeniceTest::Registry->new(user => 'reader:secret');
my $bootstrap = $kafka->bootstrap;
my $url = $registry->url;
my $topic = unique_name('peek');

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka
		OPTIONS (bootstrap_servers '$bootstrap', schema_registry_url '$url');
	CREATE ROLE analyst;
	CREATE ROLE outsider;
	GRANT USAGE ON FOREIGN SERVER k TO analyst;
	CREATE USER MAPPING FOR analyst SERVER k
		OPTIONS (schema_registry_user 'reader', schema_registry_password 'secret')});

my $schema = '{"type":"record","name":"r","fields":[{"name":"n","type":"long"}]}';
my $id = $registry->register($topic, $schema);
$kafka->topic($topic, 2);
$kafka->format('framed', { type => 'record', name => 'r', fields => [ { name => 'n', type => 'long' } ] }, schema_id => $id);
$kafka->produce($topic, [ { key => 'a', value => { n => 42 }, partition => 1, timestamp_ms => 1000 } ], key => 'text', value => 'framed');
$kafka->produce($topic, [ { key => 'b', value => { x => [ 1, 2 ] }, partition => 1 }, { key => 'b', value => undef, partition => 1 } ],
	key => 'text', value => 'json');

is($node->safe_psql('postgres', "SET ROLE analyst; SELECT part, ok FROM venice.check_server('k')"), "broker|t\nauth|t\nregistry|t",
	'a server that works');
is($node->safe_psql('postgres', "SELECT ok FROM venice.check_server('k') WHERE part = 'registry'"), 'f',
	'who has no mapping is not let in with that of another');
is($node->safe_psql('postgres', "SET ROLE analyst; SELECT \"partition\", kafka_offset, message FROM venice.peek('k', '$topic', 1)"),
	qq(1|0|{"key": "a", "value": {"n": 42}}\n1|1|{"key": "b", "value": {"x": [1, 2]}}\n1|2|{"key": "b", "value": null}),
	'peek shows records by their schema, JSON as it is, and tombstones');
is($node->safe_psql('postgres', "SELECT message -> 'value' ? 'schema_id', convert_from(key, 'UTF8'), extract(epoch FROM record_time)::int FROM venice.peek('k', '$topic', 1, 0, 1)"),
	't|a|1', 'without the registry it shows the schema\'s id');
is($node->safe_psql('postgres', "SELECT kafka_offset FROM venice.peek('k', '$topic', 1, 2)"), '2', 'from an offset');
is($node->safe_psql('postgres', "SELECT count(*) FROM venice.peek('k', '$topic', 0)"), '0', 'an empty partition has nothing to show');

like(sql_error($node, "SET ROLE outsider; SELECT * FROM venice.check_server('k')"), qr/^42501: /, 'check_server needs USAGE on the server');
like(sql_error($node, "SET ROLE outsider; SELECT * FROM venice.peek('k', '$topic')"), qr/^42501: /, 'peek too');
like(sql_error($node, "SELECT * FROM venice.check_server('none')"), qr/^42704: /, 'no such server');
like(sql_error($node, "SELECT * FROM venice.peek('k', '${topic}_none')"), qr/^42704: .*does not exist/, 'no such topic');
like(sql_error($node, "SELECT * FROM venice.peek('k', '$topic', 7)"), qr/^42704: /, 'no such partition');
like(sql_error($node, "SELECT * FROM venice.peek('k', '$topic', -1)"), qr/^22023: /, 'a negative partition');
like(sql_error($node, "SELECT * FROM venice.peek('k', NULL)"), qr/^22004: /, 'a topic that is NULL');
like(sql_error($node, "SET statement_timeout = '300ms'; CREATE SERVER silent FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '192.0.2.1:9092'); SELECT * FROM venice.check_server('silent')"),
	qr/^57014: /, 'a question can be cancelled');
wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'venice inspection'", '0', 'and leaves no process behind');

# What needs workers says what to set; the rest works.
like(sql_error($node, qq{SELECT venice.create_store('s', 'id text', 'n int', 'k', '{"key_format": "text", "value_format": "json"}');
	SELECT venice.start_push('s')}), qr/^55000: .*\n.*shared_preload_libraries/s, 'a push through Kafka says what to set');
is($node->safe_psql('postgres', q{SELECT venice.create_store('local', 'id int', 'n int'); SELECT venice.push('local', 'SELECT 1, 2'); SELECT venice.push('local', 'SELECT 1, 3');
	SELECT venice.push('local', 'SELECT 1, 4')}) =~ s/\A\n//r, "1\n2\n3", 'pushes by SQL work');
$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
is($node->safe_psql('postgres', "SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM venice.versions WHERE store = 'local'"),
	'2 backup, 3 current', 'and run_maintenance retires by hand what workers would');
like(sql_error($node, 'BEGIN; CALL venice.run_maintenance()'), qr/^25001: /, 'it refuses a transaction block');
like(sql_error($node, 'SET ROLE outsider; CALL venice.run_maintenance()'), qr/^42501: /, 'and whoever does not own the database');

done_testing();
