# The shape of what a topic carries changes while it is read: readers go on, a new field is in every version from then on,
# and what only a wider type has room for is kept until the version that has it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $registry = VeniceTest::Registry->new;
my $bootstrap = $kafka->bootstrap;
my $url = $registry->url;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap', schema_registry_url '$url');
	CREATE TABLE stopped (store text PRIMARY KEY);
	CREATE TABLE looked (store text, n bigint, longest interval);
	-- Looks a key up until it is told to stop; an error ends it, and so does an answer that is none.
	CREATE PROCEDURE look(store text) LANGUAGE plpgsql AS \$\$
	DECLARE
		began timestamptz;
		longest interval := '0';
		looks bigint := 0;
		seen int;
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stopped s WHERE s.store = look.store) LOOP
			began := clock_timestamp();
			EXECUTE format('SELECT n FROM %I.get(1)', store) INTO STRICT seen;
			longest := greatest(longest, clock_timestamp() - began);
			looks := looks + 1;
			COMMIT;
		END LOOP;
		INSERT INTO looked VALUES (store, looks, longest);
	END \$\$});

# Two versions that are read, and somebody who reads.
sub begin
{
	my ($store, $value, $options) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, 2);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('$store', 'id int', \$\$$value\$\$, NULL,
		'{"key_format": "text", $options, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	for (1 .. 2)
	{
		$node->safe_psql('postgres', "SELECT venice.push('$store', 'SELECT 1, 1')");
		$node->safe_psql('postgres', "CALL venice.wait_for_push('$store', timeout => '60 s')");
	}
	my $reader = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', "CALL look('$store')" ],
		'>', \my $output, '2>', \my $errors);
	wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL look(''$store'')'", '1', "$store: somebody reads");
	return ($topic, $reader, \$errors);
}

sub end
{
	my ($store, $reader, $errors) = @_;

	$node->safe_psql('postgres', "INSERT INTO stopped VALUES ('$store')");
	IPC::Run::finish($reader);
	is($$errors, '', "$store: whoever reads has seen no error");
	is($node->safe_psql('postgres', "SELECT n > 10, longest < '1 s' FROM looked WHERE store = '$store'"), 't|t', "$store: and did not wait")
	  or diag($node->safe_psql('postgres', 'TABLE looked'));
	return;
}

sub rows { my ($columns, $schema) = @_;
	return "SELECT string_agg(concat_ws(':', $columns), ' ' ORDER BY id) FROM $schema.records"; }

sub both_have
{
	my ($store, $columns, $expected, $name) = @_;

	wait_for_sql($node, rows($columns, $store), $expected, "$store: $name");
	wait_for_sql($node, rows($columns, "${store}_v1"), $expected, "$store: so in the backup");
	return;
}

# Columns in SQL, records of JSON.
{
	my ($topic, $reader, $errors) = begin('json', 'n int', '"value_format": "json"');
	my $produce = sub { return $kafka->produce($topic, \@_, key => 'text', value => 'json'); };

	$produce->({ key => '2', value => { n => 2, added => 'early' } });
	both_have('json', 'id, n', '1:1 2:2', 'a field that the store does not know is skipped');
	$node->safe_psql('postgres', "SELECT venice.alter_store('json', value => 'n int, added text DEFAULT \$\$none\$\$')");
	$produce->({ key => '3', value => { n => 3, added => 'now' } }, { key => '4', value => { n => 4 } });
	both_have('json', 'id, n, added', '1:1:none 2:2:none 3:3:now 4:4:none', 'a new field is in what comes from then on');

	# A wider type.
	my (undef, undef, $said) = $node->psql('postgres', "SELECT venice.alter_store('json', value => 'n bigint, added text DEFAULT \$\$none\$\$')");
	like($said, qr/NOTICE:  change to store "json" applies from the next version\nDETAIL:  Value columns: "n"\./, 'a wider type waits for the next version');
	$produce->({ key => '5', value => { n => 3_000_000_000 } }, { key => '6', value => { n => 6 } });
	both_have('json', 'id, n, added', '1:1:none 2:2:none 3:3:now 4:4:none 6:6:none', 'what it has no room for is not cut');
	is($node->safe_psql('postgres', q{SELECT string_agg(format('%s %s %s', version, sqlstate, convert_from(value, 'UTF8')), ', ' ORDER BY version) FROM venice.rejected_records WHERE store = 'json'}),
		'1 22003 {"n": 3000000000}, 2 22003 {"n": 3000000000}', 'it is kept');
	# With other types look-ups are other functions.
	end('json', $reader, $errors);
	$node->safe_psql('postgres', "SELECT venice.push('json', 'SELECT 1, 1, NULL')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('json', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('id, n, added', 'json')), '1:1 2:2:early 3:3:now 4:4:none 5:3000000000:none 6:6:none',
		'the next version has room for it, and reads what was skipped');
	$produce->({ key => '7', value => { n => 7_000_000_000 } }, { key => '8', value => { n => 8 } });
	wait_for_sql($node, rows('id, n', 'json'), '1:1 2:2 3:3 4:4 5:3000000000 6:6 7:7000000000 8:8', 'so has it for what comes');
	wait_for_sql($node, rows('id, n', 'json_v2'), '1:1 2:2 3:3 4:4 6:6 8:8', 'and the backup keeps out what it cannot hold');
	is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT sqlstate, ' ') FROM venice.rejected_records WHERE store = 'json' AND version = 2"), '22003',
		'with the same error');
}

# Avro with a registry: the producers' schema changes, and some go on with the old one.
{
	my ($topic, $reader, $errors) = begin('avro', 'n int', '"value_format": "confluent-avro"');
	my %schema = (
		first => [ { name => 'n', type => 'int' } ],
		second => [ { name => 'n', type => 'int' }, { name => 'added', type => [ 'null', 'string' ], default => undef } ],
		third => [ { name => 'n', type => 'long' }, { name => 'added', type => [ 'null', 'string' ], default => undef } ]);
	my $produce = sub { my ($schema, @records) = @_; return $kafka->produce($topic, \@records, key => 'text', value => $schema); };

	$kafka->format($_, { type => 'record', name => 'r', fields => $schema{$_} }, registry => $url, subject => "$topic-value") for sort keys %schema;
	$produce->('first', { key => '2', value => { n => 2 } });
	both_have('avro', 'id, n', '1:1 2:2', 'records of the first schema');
	$node->safe_psql('postgres', "SELECT venice.alter_store('avro', value => 'n int, added text')");
	$produce->('second', { key => '3', value => { n => 3, added => 'now' } }, { key => '4', value => { n => 4, added => undef } });
	$produce->('first', { key => '5', value => { n => 5 } });
	both_have('avro', 'id, n, added', '1:1 2:2 3:3:now 4:4 5:5', 'a new field of another schema, beside the old one');
	$node->safe_psql('postgres', "SELECT venice.alter_store('avro', value => 'n bigint, added text')");
	$produce->('third', { key => '6', value => { n => 2**40, added => 'large' } }, { key => '7', value => { n => 7, added => undef } });
	both_have('avro', 'id, n, added', '1:1 2:2 3:3:now 4:4 5:5 7:7', 'a long that fits is read into the narrow column');
	is($node->safe_psql('postgres', q{SELECT string_agg(version || ' ' || sqlstate, ', ' ORDER BY version) FROM venice.rejected_records WHERE store = 'avro'}),
		'1 22003, 2 22003', 'one that does not is kept');
	end('avro', $reader, $errors);
	$node->safe_psql('postgres', "SELECT venice.push('avro', 'SELECT 1, 1, NULL')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('avro', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('id, n, added', 'avro')), '1:1 2:2 3:3:now 4:4 5:5 6:1099511627776:large 7:7', 'until there is room for it');
}

# What a version was derived from stays: another option "fields" is for the next one.
{
	my $topic = unique_name('fields');

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('fields', 'id int', 'n int', NULL,
		'{"key_format": "text", "value_format": "json", "fields": {"n": "a.x"}, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	for my $path ('a.x', 'a.y')
	{
		$node->safe_psql('postgres', qq{SELECT venice.alter_store('fields', '{"fields": {"n": "$path"}}')});
		$node->safe_psql('postgres', "SELECT venice.push('fields', 'SELECT 1, 1', '$path')");
		$node->safe_psql('postgres', "CALL venice.wait_for_push('fields', timeout => '60 s')");
	}
	$kafka->produce($topic, [ { key => '2', value => { a => { x => 20, y => 21 } } }, { key => '3', value => { a => { x => 30, y => 'none' } } } ],
		key => 'text', value => 'json');
	wait_for_sql($node, rows('id, n', 'fields'), '1:1 2:21', 'a version has what the fields say that it was made with');
	wait_for_sql($node, rows('id, n', 'fields_v1'), '1:1 2:20 3:30', 'so has the one before, in which nothing is wrong with the rest');
	is($node->safe_psql('postgres', q{SELECT string_agg(version || ' ' || sqlstate, ', ') FROM venice.rejected_records WHERE store = 'fields'}),
		'2 22P02', 'each keeps what it has rejected');
}

# A version whose swap is deferred is waited for until it has caught up, so that it can be swapped; what is in the way is said.
{
	my $topic = unique_name('deferred');

	$node->safe_psql('postgres', qq{SELECT venice.create_store('deferred', 'id int', 'n int', NULL,
		'{"key_format": "text", "value_format": "json", "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', q{CREATE ROLE team; GRANT USAGE ON FOREIGN SERVER k TO team; GRANT CREATE ON DATABASE postgres TO team;
		SELECT venice.alter_store('deferred', '{"owner": "team"}'); REVOKE USAGE ON FOREIGN SERVER k FROM team});
	like(sql_error($node, "SELECT venice.start_push('deferred')"), qr/^42501: permission denied for foreign server k$/, 'a push wants the right to the server');
	$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER k TO team');
	$node->safe_psql('postgres', q{SELECT venice.start_push('deferred'); SELECT venice.end_push('deferred', swap => false)});
	my (undef, undef, $said) = $node->psql('postgres', "CALL venice.wait_for_push('deferred', timeout => '3 s')");
	like($said, qr/NOTICE:  store "deferred", version 1: catching up with its real-time topics: topic "$topic" does not exist/, 'who waits is told for what');
	like($said, qr/timed out.*\nDETAIL:  The push goes on; its version is ready, and has not caught up with its real-time topics\.\nHINT:  SELECT partition, state, last_error/,
		'also when the time is over');
	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', "CALL venice.wait_for_push('deferred', timeout => '60 s')");
	is($node->safe_psql('postgres', "SELECT venice.swap_version('deferred', 1); SELECT current_version FROM venice.stores WHERE store = 'deferred'"), "\n1",
		'and then it can be swapped');
}

log_is_clean($node, 'the server log has nothing to worry about', qr/bad record|rejected/);
done_testing();
