# A push through Kafka ends with exactly what a reader of the topic would have
# kept: the last record of every key, unless that was a tombstone.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "venice.max_ingest_workers = 2\n");
my $kafka = VeniceTest::Kafka->shared;
my $registry = VeniceTest::Registry->new;
my $bootstrap = $kafka->bootstrap;
my $url = $registry->url;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka
		OPTIONS (bootstrap_servers '$bootstrap', schema_registry_url '$url')});

# A store whose version topic exists already, with a push begun.
sub start_push
{
	my ($store, $key, $value, $options, $partitions, %topic_options) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, $partitions, %topic_options);
	$options->{version_topic} = "\"$topic\"";
	my $json = join(', ', map { "\"$_\": $options->{$_}" } sort keys %$options);
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', '$key', '$value', 'k', '{$json}');
		SELECT venice.start_push('$store')});
	return $topic;
}

sub end_push
{
	my ($store) = @_;

	$node->safe_psql('postgres', "SELECT venice.end_push('$store')");
	return wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = 1",
		'current', "$store: the version becomes current");
}

sub records { my ($store, $columns) = @_;
	return $node->safe_psql('postgres', "SELECT $columns FROM $store.records ORDER BY 1"); }

# Four partitions, two workers: later offsets win, tombstones delete.
{
	my $topic = start_push('clicks', 'id bigint', 'n bigint, note text',
		{ key_format => '"text"', value_format => '"json"' }, 4);
	my %model;
	my @records;

	for my $i (0 .. 3999)
	{
		my $key = ($i * 7919) % 1000;
		if ($i % 11 == 0)
		{
			push @records, { key => "$key", value => undef, partition => $key % 4 };
			delete $model{$key};
		}
		else
		{
			push @records, { key => "$key", value => { n => $i, note => "record $i" }, partition => $key % 4 };
			$model{$key} = "$key|$i|record $i";
		}
	}
	$kafka->produce($topic, \@records, key => 'text', value => 'json');
	wait_for_sql($node, "SELECT sum(messages), count(*) FROM venice.stat_ingestion WHERE store = 'clicks'",
		'4000|4', 'what is in the topic is ingested while the push goes on');
	wait_for_sql($node, 'SELECT phase, rows_done, rows_total, percent FROM venice.stat_progress_push', 'loading|4000|4000|100',
		'stat_progress_push shows how far');
	is($node->safe_psql('postgres', "SELECT count(*) FROM clicks.records"), '0',
		'and no reader sees any of it');
	end_push('clicks');
	is(records('clicks', 'id, n, note'), join("\n", map { $model{$_} } sort { $a <=> $b } keys %model),
		'four partitions: the last record of every key');
	is($node->safe_psql('postgres', q{
		SELECT bool_and(state = 'caught_up' AND lag = 0 AND kafka_offset = end_offset), sum(rejected)
		FROM venice.stat_ingestion WHERE store = 'clicks'}), 't|0', 'all partitions are at their ends');
	is($node->safe_psql('postgres', "SELECT rows = (SELECT count(*) FROM clicks.records) FROM venice.versions WHERE store = 'clicks' AND version = 1"),
		't', 'the version knows its rows');
	is($node->safe_psql('postgres', q{
		SELECT bool_and(batches > 0 AND last_message_time <= last_commit_time AND last_commit_time < pg_catalog.now()), count(last_error)
		FROM venice.stat_ingestion WHERE store = 'clicks'}), 't|0', 'when it was loaded is still known');
}

# What a transaction aborted is not there, and its offsets are no reason to wait for ever.
{
	my $topic = start_push('transactions', 'id text', 'n int', { key_format => '"text"', value_format => '"json"' }, 1);

	$kafka->produce($topic, [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'json', transaction => 'commit');
	$kafka->produce($topic, [ { key => 'a', value => { n => 2 } } ], key => 'text', value => 'json', transaction => 'abort');
	end_push('transactions');
	is(records('transactions', '*'), 'a|1', 'an aborted transaction leaves nothing');
}

# A partition without a record is at its end at once.
{
	start_push('empty', 'id text', 'n int', { key_format => '"text"', value_format => '"json"' }, 3);
	end_push('empty');
	is(records('empty', 'count(*)'), '0', 'an empty topic makes an empty version');
}

# Confluent frames: the writer's schema comes from the registry, the reader's is the store's.
{
	my $topic = start_push('confluent', 'id bigint', 'n bigint, name text, score float8',
		{ key_format => '"int8"' }, 2);

	$kafka->format('v1', { type => 'record', name => 'r', fields => [ { name => 'n', type => 'int' }, { name => 'name', type => 'string' } ] },
		registry => $url, subject => "$topic-value");
	$kafka->format('v2', { type => 'record', name => 'r', fields => [ { name => 'name', type => 'string' },
		{ name => 'score', type => [ 'null', 'double' ] }, { name => 'n', type => 'long' } ] },
		registry => $url, subject => "$topic-value");
	$kafka->produce($topic, [ { key => 1, value => { n => 5, name => 'one' } } ], key => 'int8', value => 'v1');
	$kafka->produce($topic, [ { key => 2, value => { n => 6, name => 'two', score => 1.5 } },
		{ key => 3, value => { n => 7, name => 'three', score => undef } } ], key => 'int8', value => 'v2');
	end_push('confluent');
	is(records('confluent', '*'), "1|5|one|\n2|6|two|1.5\n3|7|three|", 'two writer schemas, one table');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM venice.registry_schema'), '2', 'both schemas are kept');
}

# A schema that the owner has made known himself needs no registry, and serves his store only.
{
	my $schema = { type => 'record', name => 'own', fields => [ { name => 'n', type => 'int' } ] };
	my $topic = start_push('registered', 'id text', 'n int', { key_format => '"text"' }, 1);

	$node->safe_psql('postgres', qq{
		SELECT venice.register_value_schema('registered', '{"type": "record", "name": "own", "fields": [{"name": "n", "type": "int"}]}', 4711)});
	$kafka->format('own', $schema, schema_id => 4711);
	$kafka->produce($topic, [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'own');
	end_push('registered');
	is(records('registered', '*'), 'a|1', 'its schema was not asked for');
}

# Plain Avro, with the store's schema as the writer's.
{
	my $schema = { type => 'record', name => 'r', fields => [ { name => 'a', type => 'string' }, { name => 'b', type => { type => 'array', items => 'float' } } ] };
	my $text = '{"type":"record","name":"r","fields":[{"name":"a","type":"string"},{"name":"b","type":{"type":"array","items":"float"}}]}';
	my $topic = start_push('plain', 'id uuid', $text, { key_format => '"uuid"', value_format => '"avro"' }, 1);

	$kafka->format('plain', $schema);
	$kafka->produce($topic, [ { key => '7f000001-0000-4000-8000-000000000001', value => { a => 'x', b => [ 1.5, -2 ] } } ], key => 'text', value => 'plain');
	end_push('plain');
	is(records('plain', '*'), '7f000001-0000-4000-8000-000000000001|x|{1.5,-2}', 'plain Avro');
}

# Rows lie in the order of their offsets, small and large: by their places the build knows which is the later.
{
	my $topic = start_push('sizes', 'id int', 'v text', { key_format => '"value"', value_format => '"json"' }, 4);
	my $text = join('', map { md5_hex($_) } 1 .. 400);
	my @records;

	for my $i (0 .. 11999)
	{
		my $bytes = $i < 5000 ? $i * 37 % 500 : $i % 101 == 0 ? $i * 37 % 12000 : $i % 23 == 0 ? 1900 : $i * 37 % 200;
		push @records, { value => { id => $i, v => substr($text, $i % 800, $bytes) }, partition => $i % 4 };
	}
	$kafka->produce($topic, \@records, value => 'json');
	end_push('sizes');
	is($node->safe_psql('postgres', q{
		SELECT count(*), count(*) FILTER (WHERE place < previous), count(*) FILTER (WHERE length(v) > 8000) > 10,
			count(DISTINCT (place::text::point)[0]) = pg_relation_size('sizes.records') / current_setting('block_size')::int
		FROM (SELECT ctid AS place, lag(ctid) OVER (PARTITION BY _arrival >> 48 ORDER BY _arrival) AS previous, v
			FROM sizes.records) AS row}),
		'12000|0|t|t', 'rows of each partition lie in the order of their offsets, and leave no page empty');
}

# Keys in the value: one key may come by several partitions; the later timestamp wins between them.
{
	my $topic = start_push('by_value', 'country text, city text', 'n int', { key_format => '"value"', value_format => '"json"' }, 3);
	my $now = time * 1000;

	$kafka->produce($topic, [
		{ value => { country => 'it', city => 'venice', n => 1 }, partition => 0, timestamp_ms => $now },
		{ value => { country => 'it', city => 'venice', n => 2 }, partition => 1, timestamp_ms => $now - 1000 },
		{ value => { country => 'it', city => 'rome', n => 3 }, partition => 1, timestamp_ms => $now },
		{ value => { country => 'it', city => 'padua', n => 4 }, partition => 1, timestamp_ms => $now - 1000 } ], value => 'json');
	# The first that its partition holds, and still the last word on the key.
	$kafka->produce($topic, [ { key => { country => 'it', city => 'padua' }, partition => 2, timestamp_ms => $now } ], key => 'json');
	end_push('by_value');
	is(records('by_value', 'city, n'), "rome|3\nvenice|1", 'across partitions the later timestamp wins, a deletion too');
	is($node->safe_psql('postgres', "SELECT n FROM by_value.get('it', 'venice')"), '1', 'and the store is read by its key');
}

# A feature view over a topic: its times of events are those in the records, whichever of them came last.
{
	my $topic = unique_name('visits');
	my $now = time * 1000;

	$kafka->topic($topic, 2);
	$node->safe_psql('postgres', qq{
		SELECT venice.create_entity('visitor', 'visitor_id bigint');
		SELECT venice.create_source('visits', server => 'k', topic => '$topic', event_time => 'seen.at',
			options => '{"columns": "pages int", "key_format": "value", "value_format": "json"}');
		SELECT venice.create_feature_view('visited', '{visitor}', 'visits', features => 'pages');
		SELECT venice.start_push('visited')});
	$kafka->produce($topic, [
		{ value => { visitor_id => 1, pages => 10, seen => { at => '2013-01-01T00:00:00Z' } }, partition => 0, timestamp_ms => $now },
		{ value => { visitor_id => 1, pages => 20, seen => { at => '2013-01-02T00:00:00Z' } }, partition => 1, timestamp_ms => $now - 1000 },
		{ value => { visitor_id => 2, pages => 30 }, partition => 1, timestamp_ms => $now } ], value => 'json');
	end_push('visited');
	is($node->safe_psql('postgres', qq{
		SELECT visitor_id, g.pages, e._event_time AT TIME ZONE 'UTC' FROM generate_series(1::bigint, 2) AS visitor_id,
			LATERAL visited.get(visitor_id) g,
			LATERAL venice_internal.get('visited', visitor_id) AS e (_event_time timestamptz) ORDER BY 1}),
		"1|10|2013-01-01 00:00:00\n2|30|", 'the later record wins, and has the time that it says itself');
}

# An unlogged version is filled in the same way.
{
	my $topic = start_push('unlogged', 'id text', 'n int', { key_format => '"text"', value_format => '"json"', unlogged => 'true' }, 2);

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } 1 .. 100 ], key => 'text', value => 'json');
	end_push('unlogged');
	is(records('unlogged', 'sum(n)'), '5050', 'an unlogged version has all rows');
}

# Partitions that are added during a push are read too.
{
	my $topic = start_push('growing', 'id text', 'n int', { key_format => '"text"', value_format => '"json"' }, 1);

	$kafka->produce($topic, [ { key => 'a', value => { n => 1 }, partition => 0 } ], key => 'text', value => 'json');
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'growing'", '1', 'the first partition is read');
	$kafka->request('add_partitions', topic => $topic, partitions => 3);
	# By another producer: the first does not know the new partitions yet.
	$kafka->produce($topic, [ { key => 'b', value => { n => 2 }, partition => 2 } ], key => 'text', value => 'json', transaction => 'commit');
	end_push('growing');
	is(records('growing', '*'), "a|1\nb|2", 'a partition that was added is part of the push');
}

done_testing();
