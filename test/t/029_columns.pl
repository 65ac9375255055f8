# A column is added while a version is loaded from a topic: no record is lost, those
# that come from then on have it, also by another schema, and the swap brings it.
use strict;
use warnings;
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

sub start_push
{
	my ($store, $value, $options, $partitions) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, $partitions);
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', 'id bigint', \$\$$value\$\$, 'k', '{"version_topic": "$topic", $options}');
		SELECT venice.start_push('$store')});
	return $topic;
}

sub loaded
{
	my ($store, $messages) = @_;
	return wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store'", $messages,
		"$store: $messages records are loaded");
}

sub end_push
{
	my ($store) = @_;

	$node->safe_psql('postgres', "SELECT venice.end_push('$store')");
	return wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = 1",
		'current', "$store: the version becomes current");
}

sub records { my ($store, $columns) = @_;
	return $node->safe_psql('postgres', "SELECT $columns FROM $store.records ORDER BY id"); }

# JSON, while two partitions are being loaded; by the value, with the columns of ours that this takes.
for my $key_format ('int8', 'value')
{
	my $store = "json_$key_format";
	my $topic = start_push($store, 'n int', qq{"value_format": "json", "key_format": "$key_format"}, 2);
	my $produce = sub {
		my ($first, $last) = @_;
		$kafka->produce($topic, [ map { { key => $_, value => { id => $_, n => $_, added => "added $_" }, partition => $_ % 2 } } $first .. $last ],
			key => 'int8', value => 'json');
	};

	$produce->(1, 3000);
	loaded($store, 3000);
	$produce->(3001, 9000);
	$node->safe_psql('postgres', "SELECT venice.alter_store('$store', value => 'n int, added text DEFAULT \$\$none\$\$')");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_attribute WHERE attrelid IN ('$store.records'::regclass, '${store}_v1.records'::regclass) AND attname = 'added'"),
		'2', "$store: both versions have the column");
	$produce->(9001, 12000);
	loaded($store, 12000);
	end_push($store);
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT id), sum(n), sum(rejected) FROM $store.records, (SELECT sum(rejected) AS rejected FROM venice.pushes WHERE store = '$store') p"),
		'12000|12000|72006000|0', "$store: no record is lost");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store.records WHERE id > 9000 AND added <> 'added ' || id"),
		'0', "$store: what came after has the field");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store.records WHERE id <= 3000 AND added <> 'none'"),
		'0', "$store: what came before has the default");
	is($node->safe_psql('postgres', "SELECT added FROM $store.get(12000)"), 'added 12000', "$store: and it is looked up");
}

# A schema of Avro's gets an optional field, and the producers' schema changes in flight; what was int becomes long.
{
	my $field = sub { my ($name, $type, %more) = @_; return { name => $name, type => $type, %more }; };
	my @old = ($field->('n', 'int'));
	my @new = ($field->('n', 'long'), $field->('added', [ 'null', 'string' ], default => undef));
	my $text = sub { return '{"type": "record", "name": "r", "fields": [' . join(', ', @_) . ']}'; };
	my $topic = start_push('avro', $text->('{"name": "n", "type": "int"}'), '"key_format": "int8", "max_rejected": 1', 1);

	$kafka->format('old', { type => 'record', name => 'r', fields => \@old }, registry => $url, subject => "$topic-value");
	$kafka->format('new', { type => 'record', name => 'r', fields => \@new }, registry => $url, subject => "$topic-value");
	$kafka->produce($topic, [ { key => 1, value => { n => 1 } } ], key => 'int8', value => 'old');
	loaded('avro', 1);
	$node->safe_psql('postgres', "SELECT venice.alter_store('avro', value => '"
		. $text->('{"name": "n", "type": "long"}', '{"name": "added", "type": ["null", "string"], "default": null}') . "')");
	$kafka->produce($topic, [ { key => 2, value => { n => 2, added => 'two' } }, { key => 3, value => { n => 2**31, added => 'three' } },
		{ key => 4, value => { n => -2**31, added => undef } } ], key => 'int8', value => 'new');
	$kafka->produce($topic, [ { key => 5, value => { n => 5 } } ], key => 'int8', value => 'old');
	loaded('avro', 5);
	is($node->safe_psql('postgres', q{SELECT kafka_offset, sqlstate FROM venice.rejected_records WHERE store = 'avro'}),
		'2|22003', 'a value that only the next version has room for is rejected');
	end_push('avro');
	is(records('avro', 'id, n, added'), "1|1|\n2|2|two\n4|-2147483648|\n5|5|", 'a new field of another schema is read from then on');
}

# While records stream into all versions and the history: no write is lost, and those that come from then on have the field
# wherever it stands.
{
	my $topic = unique_name('streamed');
	my $formats = '"key_format": "int8", "value_format": "json", "history": true, "versions_to_keep": 3';
	my $produce = sub {
		my ($first, $last) = @_;
		$kafka->produce($topic, [ map { { key => $_ % 1000, value => { n => $_, added => "added $_", last => "last $_" }, partition => $_ % 2 } } $first .. $last ],
			key => 'int8', value => 'json');
	};
	my $applied = sub {
		my ($n, $when) = @_;
		wait_for_sql($node, qq{SELECT string_agg(format('%s %s', count, max), ', ') FROM (SELECT count(*), max(n) FROM streamed.records
			UNION ALL SELECT count(*), max(n) FROM streamed_v1.records) v}, "1000 $n, 1000 $n", "streamed: $when");
	};

	$kafka->topic($topic, 2);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('streamed', 'id bigint', 'n int, last text', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	for my $push (1 .. 2)
	{
		$node->safe_psql('postgres', "SELECT venice.push('streamed', 'SELECT g, 0, NULL FROM generate_series(0, 999) g')");
		$node->safe_psql('postgres', "CALL venice.wait_for_push('streamed', timeout => '60 s')");
	}
	$produce->(1, 3000);
	$applied->(3000, 'both versions are written to');
	$produce->(3001, 12000);
	$node->safe_psql('postgres', q{SELECT venice.alter_store('streamed', value => 'n int, added text DEFAULT $$none$$, last text')});
	$applied->(12000, 'also when a column was added amid');
	$produce->(12001, 14000);
	$applied->(14000, 'and after that');
	for my $table ('streamed.records', 'streamed_v1.records')
	{
		is($node->safe_psql('postgres', "SELECT count(*), sum(n) FROM $table WHERE last = 'last ' || n AND added = 'added ' || n AND n % 1000 = id"),
			'1000|13500500', "$table: each value is in its column");
	}
	is($node->safe_psql('postgres', q{SELECT count(*), count(added), sum(rejected) FROM streamed_history.rows, (SELECT sum(rejected) AS rejected FROM venice.stat_ingestion WHERE store = 'streamed') s WHERE n > 12000}),
		'2000|2000|0', 'streamed: the history has all of them, once');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM streamed_history.rows WHERE n > 0'), '14000', 'streamed: and what came before');
}

log_is_clean($node, 'the server log has nothing to worry about');
done_testing();
