# Bad input has a clear state and error, stays out of the store, and never
# touches the version that is being read.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $registry = VeniceTest::Registry->new;
my $bootstrap = $kafka->bootstrap;
my $url = $registry->url;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka
		OPTIONS (bootstrap_servers '$bootstrap', schema_registry_url '$url')});

sub create_store
{
	my ($store, $key, $value, $options, $topic) = @_;

	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', '$key', '$value', 'k', '$options'::jsonb || '{"version_topic": "$topic"}');
		SELECT venice.start_push('$store')});
	return;
}

my $json = '{"key_format": "text", "value_format": "json"}';
my $state = sub { "SELECT state FROM venice.versions WHERE store = '$_[0]' AND version = 1" };

# One bad record fails a push that allows none, naming it.
{
	my $topic = unique_name('bad');

	$kafka->topic($topic, 1);
	create_store('bad', 'id int', 'n smallint', $json, $topic);
	$kafka->produce($topic, [ { key => '1', value => '{"n": 1}' }, { key => '2', value => '{"n": ' },
		{ key => '3', value => '{"n": 70000}' }, { key => 'x', value => '{"n": 4}' },
		{ key => '5', value => '{"n": 5}' } ], key => 'text', value => 'text');
	wait_for_sql($node, $state->('bad'), 'failed', 'a bad record fails the push');
	like($node->safe_psql('postgres', "SELECT error || '; ' || detail FROM venice.versions WHERE store = 'bad' AND version = 1"),
		qr/^3 records were rejected, and max_rejected of store "bad" is 0; The first is at offset 1 of partition 0: .*venice\.rejected_records/,
		'the error counts them and tells of the first');
	is($node->safe_psql('postgres', "SELECT kafka_offset, sqlstate, convert_from(key, 'UTF8') FROM venice.rejected_records WHERE store = 'bad' ORDER BY 1"),
		"1|22P02|2\n2|22003|3\n3|22P02|x", 'each is kept with its reason');
	is($node->safe_psql('postgres', "SELECT state, rejected, last_error IS NOT NULL FROM venice.stat_ingestion WHERE store = 'bad'"),
		'failed|3|t', 'stat_ingestion shows the failure');
	wait_for_sql($node, "SELECT count(*) FROM pg_namespace WHERE nspname = 'bad_v1'", '0', 'what was loaded is dropped');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM bad.records'), '0', 'the version that is read is untouched');
}

# With room for them the push completes without the bad ones.
{
	my $topic = unique_name('tolerant');

	$kafka->topic($topic, 2);
	create_store('tolerant', 'id int', 'n int NOT NULL', '{"key_format": "text", "value_format": "json", "max_rejected": 10}', $topic);
	$kafka->produce($topic, [ (map { { key => "$_", value => qq({"n": $_}) } } 1 .. 50), { key => '51', value => '{"n": null}' },
		{ key => 'bad', value => '{"n": 1}' }, { key => '53', value => '[1' } ], key => 'text', value => 'text');
	$node->safe_psql('postgres', "SELECT venice.end_push('tolerant')");
	wait_for_sql($node, $state->('tolerant'), 'current', 'rejected records within max_rejected do not fail a push');
	is($node->safe_psql('postgres', 'SELECT count(*), sum(n) FROM tolerant.records'), '50|1275', 'the good ones are there');
	is($node->safe_psql('postgres', "SELECT string_agg(sqlstate, ',' ORDER BY sqlstate) FROM venice.rejected_records WHERE store = 'tolerant'"),
		'22P02,22P02,23502', 'the bad ones are not');
}

# No element of an array is rounded, in whatever way the array is written.
{
	my $topic = unique_name('arrays');

	$node->safe_psql('postgres', 'CREATE DOMAIN price AS numeric(5,2) CHECK (VALUE >= 0)');
	$kafka->topic($topic, 1);
	create_store('arrays', 'id int', 'n numeric(5,2)[], p price[], t time(0)[]', '{"key_format": "text", "value_format": "json", "max_rejected": 9}', $topic);
	$kafka->produce($topic, [ map { { key => "$_->[0]", value => qq({"$_->[1]": $_->[2]}) } }
			[ 1, 'n', '"{1.25,NULL,2}"' ], [ 2, 'n', '"[0:1][1:1]={{1.25},{\\"3\\"}}"' ], [ 3, 'n', '"{1.25,1.005}"' ], [ 4, 'n', '[1.25, 1.005]' ],
			[ 5, 'p', '"{0.01,NULL}"' ], [ 6, 'p', '"{0.001}"' ], [ 7, 'p', '"{-1}"' ], [ 8, 't', '"{10:00:00.5}"' ], [ 9, 't', '"{10:00:01}"' ] ],
		key => 'text', value => 'text');
	$node->safe_psql('postgres', "SELECT venice.end_push('arrays')");
	wait_for_sql($node, $state->('arrays'), 'current', 'arrays are loaded');
	is($node->safe_psql('postgres', "SELECT string_agg(concat_ws(' ', id, n, p, t), ' | ' ORDER BY id) FROM arrays.records"),
		'1 {1.25,NULL,2.00} | 2 [0:1][1:1]={{1.25},{3.00}} | 5 {0.01,NULL} | 9 {10:00:01}', 'those that fit, as they came');
	is($node->safe_psql('postgres', "SELECT string_agg(convert_from(key, 'UTF8') || ' ' || sqlstate, ' | ' ORDER BY kafka_offset) FROM venice.rejected_records WHERE store = 'arrays'"),
		'3 22003 | 4 22003 | 6 22003 | 7 23514 | 8 22008', 'the others are rejected');
}

# A row that no page can take is refused by the table, and its neighbours are not.
{
	my $topic = unique_name('wide');
	my $columns = join(', ', map { "c$_ bigint" } 1 .. 1200);
	my $full = '{' . join(', ', map { "\"c$_\": $_" } 1 .. 1200) . '}';

	$kafka->topic($topic, 1);
	create_store('wide', 'id int', $columns, '{"key_format": "text", "value_format": "json", "max_rejected": 1}', $topic);
	$kafka->produce($topic, [ { key => '1', value => '{"c1": 1}' }, { key => '2', value => $full }, { key => '3', value => '{"c2": 3}' } ],
		key => 'text', value => 'text');
	$node->safe_psql('postgres', "SELECT venice.end_push('wide')");
	wait_for_sql($node, $state->('wide'), 'current', 'a row too big for a page fails alone');
	is($node->safe_psql('postgres', 'SELECT string_agg(id::text, \',\' ORDER BY id) FROM wide.records'), '1,3', 'its neighbours are loaded');
	is($node->safe_psql('postgres', "SELECT kafka_offset, sqlstate FROM venice.rejected_records WHERE store = 'wide'"), '1|54000', 'and it is kept');
}

# A schema id that the registry does not know is the record's fault.
{
	my $topic = unique_name('unknown_id');

	$kafka->topic($topic, 1);
	create_store('unknown_id', 'id text', 'n int', '{"key_format": "text"}', $topic);
	$kafka->format('id_999', { type => 'record', name => 'r', fields => [ { name => 'n', type => 'int' } ] }, schema_id => 99999);
	$kafka->produce($topic, [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'id_999');
	wait_for_sql($node, $state->('unknown_id'), 'failed', 'an unknown schema id fails the push');
	like($node->safe_psql('postgres', "SELECT error FROM venice.rejected_records WHERE store = 'unknown_id'"), qr/99999/, 'its record says which id');
}

# A registry that is down is nobody's fault: nothing is skipped, and all goes on when it is back.
{
	my $topic = unique_name('registry_down');

	$kafka->topic($topic, 1);
	$kafka->format('later', { type => 'record', name => 'later', fields => [ { name => 'n', type => 'int' } ] },
		registry => $url, subject => $topic);
	$registry->fault('status', status => 503);
	create_store('registry_down', 'id text', 'n int', '{"key_format": "text"}', $topic);
	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } 1 .. 10 ], key => 'text', value => 'later');
	$node->safe_psql('postgres', "SELECT venice.end_push('registry_down')");
	wait_for_sql($node, "SELECT state, last_error LIKE '%registry%', next_retry_time IS NOT NULL FROM venice.stat_ingestion WHERE store = 'registry_down'",
		'retrying|t|t', 'the partition retries and says why');
	$registry->fault(undef);
	wait_for_sql($node, $state->('registry_down'), 'current', 'the push completes when the registry is back');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM registry_down.records'), '10', 'with every record');
	is($node->safe_psql('postgres', "SELECT count(*) FROM venice.rejected_records WHERE store = 'registry_down'"), '0', 'and none rejected');

	# A schema that is known needs no registry any more.
	$registry->fault('status', status => 500);
	$node->restart;
	$node->safe_psql('postgres', q{SELECT venice.start_push('registry_down'); SELECT venice.end_push('registry_down')});
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'registry_down' AND version = 2", 'current',
		'after a restart the next push needs no registry');
	$registry->fault(undef);
}

# A topic that comes late is waited for.
{
	my $topic = unique_name('late');

	create_store('late', 'id text', 'n int', $json, $topic);
	wait_for_sql($node, "SELECT state, partition IS NULL FROM venice.stat_ingestion WHERE store = 'late'", 'waiting_for_topic|t', 'a missing topic is waited for');
	$kafka->topic($topic, 2);
	$kafka->produce($topic, [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'json');
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'late'", '1', 'and read when it comes');
	$node->safe_psql('postgres', "SELECT venice.end_push('late')");
	wait_for_sql($node, $state->('late'), 'current', 'the push completes');
}

# One that never comes fails the push when its end is requested.
{
	my $topic = unique_name('never');

	create_store('never', 'id text', 'n int', $json, $topic);
	$node->safe_psql('postgres', "SELECT venice.end_push('never')");
	wait_for_sql($node, $state->('never'), 'failed', 'a missing topic fails the push at its end');
	like($node->safe_psql('postgres', "SELECT error FROM venice.versions WHERE store = 'never' AND version = 1"),
		qr/topic "$topic" does not exist/, 'the error names it');
}

# What retention has removed before it was read cannot be read: the push fails instead of having a hole.
{
	my $topic = unique_name('overrun');

	$kafka->topic($topic, 1);
	create_store('overrun', 'id text', 'n int', $json, $topic);
	$kafka->produce($topic, [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'json');
	wait_for_sql($node, "SELECT kafka_offset FROM venice.stat_ingestion WHERE store = 'overrun'", '1', 'the first record is read');
	$node->safe_psql('postgres', "SELECT venice.pause_ingestion('overrun')");
	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } 1 .. 10 ], key => 'text', value => 'json');
	$kafka->request('delete_records', topic => $topic, partition => 0, before => 5);
	$node->safe_psql('postgres', "SELECT venice.resume_ingestion('overrun')");
	wait_for_sql($node, $state->('overrun'), 'failed', 'a gap made by retention fails the push');
	like($node->safe_psql('postgres', "SELECT detail FROM venice.versions WHERE store = 'overrun' AND version = 1"), qr/offset 1\b/, 'the detail names the offset');
}

done_testing();
