# What people do to a store's schema, owner and server behind venice's back, while a push is on its way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\nvenice.max_ingest_workers = 1\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

# A store of a role's, with rows k1 to k100 current, and a push of version 2 that has loaded as many.
sub store_of
{
	my ($store, $role) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, 1);
	produce($topic, 1, 100);
	$node->safe_psql('postgres', qq{
		SET ROLE $role;
		SELECT venice.create_store('$store', 'id text', 'n int', 'k',
			'{"key_format": "text", "value_format": "json", "version_topic": "$topic"}');
		SELECT venice.start_push('$store'); SELECT venice.end_push('$store')});
	$node->safe_psql('postgres', "CALL venice.wait_for_push('$store', timeout => '60 s')");
	$node->safe_psql('postgres', "SELECT venice.start_push('$store')");
	is_loaded($store, 100, "$store: a push is on its way");
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
	my ($store, $count, $name) = @_;

	return wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store' AND version = 2", $count, $name);
}

sub push_completes
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($store, $count, $name) = @_;

	$node->safe_psql('postgres', "SELECT venice.end_push('$store')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = 2", 'current', $name);
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store.records"), $count, "$name, with every record");
	return;
}

sub is_missing
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($store, $name) = @_;

	return is($node->safe_psql('postgres', "SELECT state, owner IS NULL, schema IS NULL FROM venice.stores WHERE store = '$store'"), 'missing|t|t', $name);
}

$node->safe_psql('postgres', qq{
	CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE carol;
	GRANT CREATE ON DATABASE postgres TO alice, bob, carol;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	GRANT USAGE ON FOREIGN SERVER k TO alice, bob, carol});

# A server that stores are filled from stays, whoever drops it and however.
my $topic = store_of('kept', 'alice');
like(sql_error($node, 'DROP SERVER k CASCADE'), qr/^2BP01: cannot drop server "k" because stores are filled from it\nDETAIL: +Stores: "kept"\.\nHINT: .*drop_store/,
	'a server is not dropped under a store');
$node->safe_psql('postgres', "CREATE SERVER unused FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");
is(sql_error($node, 'DROP SERVER unused'), '', 'one that no store uses is');

# Servers and mappings can be changed in the midst of a push; it goes on with what they say.
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR alice SERVER k OPTIONS (sasl_username \'somebody\'); DROP USER MAPPING FOR alice SERVER k');
$node->safe_psql('postgres', "ALTER SERVER k OPTIONS (ADD socket_keepalive_enable 'true')");
produce($topic, 101, 200);
is_loaded('kept', 200, 'a push goes on when its server is altered');
$node->safe_psql('postgres', "ALTER SERVER k OPTIONS (SET bootstrap_servers '127.0.0.1:1'); SELECT venice.pause_ingestion('kept'); SELECT venice.resume_ingestion('kept')");
wait_for_sql($node, q{SELECT state, last_error IS NOT NULL FROM venice.stat_ingestion WHERE store = 'kept' AND version = 2}, 'retrying|t', 'at an address where nobody is it is tried again');
$node->safe_psql('postgres', "ALTER SERVER k OPTIONS (SET bootstrap_servers '$bootstrap')");
produce($topic, 201, 300);
is_loaded('kept', 300, 'until the address is right');
push_completes('kept', 300, 'the push completes');

# ALTER SCHEMA ... OWNER TO and REASSIGN OWNED give a store away.
$topic = store_of('given', 'alice');
$node->safe_psql('postgres', 'ALTER SCHEMA given OWNER TO bob');
is($node->safe_psql('postgres', "SELECT owner FROM venice.stores WHERE store = 'given'"), 'bob', 'the owner of the schema is the owner of the store');
like(sql_error($node, "SET ROLE alice; SELECT venice.end_push('given')"), qr/^42501: /, 'and nobody else');
produce($topic, 101, 200);
push_completes('given', 200, 'a push that began before goes on');
$topic = store_of('reassigned', 'alice');
# REASSIGN OWNED fails over a schema that a worker drops meanwhile.
wait_for_sql($node, 'SELECT count(*) FROM venice.versions WHERE version = 0', '0', 'first versions are gone');
$node->safe_psql('postgres', 'REASSIGN OWNED BY alice TO bob');
is($node->safe_psql('postgres', "SELECT owner FROM venice.stores WHERE store = 'reassigned'"), 'bob', 'REASSIGN OWNED gives stores away');
produce($topic, 101, 200);
push_completes('reassigned', 200, 'and a push that began before goes on');
is($node->safe_psql('postgres', q{
	SET ROLE bob;
	SELECT venice.start_push(s, options => '{"origin": "sql"}') FROM unnest('{given, reassigned}'::text[]) s;
	INSERT INTO given_v3.records VALUES ('k1', 7);
	INSERT INTO reassigned_v3.records VALUES ('k1', 7);
	SELECT venice.end_push(s) FROM unnest('{given, reassigned}'::text[]) s}), "(3,given_v3)\n(3,reassigned_v3)\ncurrent\ncurrent", 'the new owner pushes to them');
is($node->safe_psql('postgres', q{SET ROLE bob; SELECT n FROM given.get('k1'); SELECT venice.rollback_version('given'); SELECT venice.drop_store('given', force => true)}), "7\n2\n", 'rolls them back and drops them');
my (undef, undef, $refusal) = $node->psql('postgres', 'DROP ROLE bob');
like($refusal, qr/owner of schema reassigned$/m, 'a role that owns a store is not dropped');

# A schema that is dropped or renamed away leaves a store that says so, and that can be dropped.
store_of('dropped', 'carol');
$node->safe_psql('postgres', 'DROP SCHEMA dropped CASCADE');
is_missing('dropped', 'a store whose schema was dropped is missing');
for my $act ('start_push', 'end_push', 'alter_store', 'rollback_version', 'rebuild_functions')
{
	like(sql_error($node, "SELECT venice.$act('dropped')"), qr/^55000: schema of store "dropped" is missing\nHINT: .*drop_store/, "$act says what to do");
}
$node->safe_psql('postgres', "SELECT venice.drop_store('dropped')");
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dropped%'; SELECT count(*) FROM venice.store_version WHERE store_name = 'dropped'}), "0\n0", 'drop_store leaves nothing');
store_of('dropped', 'carol');
push_completes('dropped', 100, 'and there can be a store of that name again');

$topic = store_of('renamed', 'carol');
$node->safe_psql('postgres', 'ALTER SCHEMA renamed RENAME TO away');
is_missing('renamed', 'a store whose schema was renamed is missing');
produce($topic, 101, 200);
$node->safe_psql('postgres', 'ALTER SCHEMA away RENAME TO renamed');
push_completes('renamed', 200, 'renamed back, nothing has happened');
$node->safe_psql('postgres', "ALTER SCHEMA renamed RENAME TO away; SELECT venice.drop_store('renamed')");
is($node->safe_psql('postgres', 'SELECT count(*) FROM away.records'), '200', 'what was renamed away is not the store\'s any more');
$node->safe_psql('postgres', 'DROP SCHEMA away CASCADE');

# DROP OWNED takes a role's stores.
store_of('owned', 'carol');
$node->safe_psql('postgres', 'DROP OWNED BY carol');
is_missing('owned', 'a store that DROP OWNED has taken is missing');
$node->safe_psql('postgres', "SELECT venice.drop_store('owned'); SELECT venice.drop_store('dropped'); DROP ROLE carol");

# The version that is being filled, or kept, may be what somebody drops.
store_of('future', 'bob');
$node->safe_psql('postgres', 'DROP SCHEMA future_v2 CASCADE');
wait_for_sql($node, "SELECT state, error FROM venice.versions WHERE store = 'future' AND version = 2", q{failed|the version's table was dropped}, 'a push whose table was dropped fails');
is($node->safe_psql('postgres', "SELECT n FROM future.get('k7')"), '7', 'the current version is as it was');
$node->safe_psql('postgres', q{SELECT venice.push('future', 'VALUES (''k7'', 8)'); DROP SCHEMA future_v1 CASCADE});
wait_for_sql($node, "SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM venice.versions WHERE store = 'future' AND state <> 'failed'", '3 current', 'a backup that was dropped is forgotten');
like(sql_error($node, "SELECT venice.rollback_version('future')"), qr/^55000: .*no backup version/, 'and not gone back to');
log_is_clean($node, 'the server log has nothing to worry about');

done_testing();
