# The transactional outbox: what SQL writes to a hybrid store is in its topic once, if it was
# committed, and comes back from there.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $registry = VeniceTest::Registry->new;
my $registry_url = $registry->url;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub text { return pack('H*', $_[0] // ''); }

# The records of a topic as text: "partition? key=value {headers}".
sub produced
{
	my ($topic) = @_;

	return map { sprintf('%s=%s%s', defined $_->{key} ? text($_->{key}) : '-', defined $_->{value} ? text($_->{value}) : '-',
		join('', map { " $_->[0]:$_->[1]" } @{ $_->{headers} })) } @{ $kafka->consume($topic) };
}

# A store with one real-time topic and an empty version that streams.
sub hybrid
{
	my ($store, $key, $value, $partitions, $options) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, $partitions);
	sql(qq{SELECT venice.create_store('$store', \$\$$key\$\$, \$\$$value\$\$, options => '{"real_time_topics": [{"server": "k", "topic": "$topic"}], $options}');
		SELECT venice.push('$store', 'SELECT s.* FROM $store.records s')});
	sql("CALL venice.wait_for_push('$store', timeout => '60 s')");
	return $topic;
}

sql("CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap', schema_registry_url '$registry_url')");
my $json = '"key_format": "text", "value_format": "json"';

# Murmur2 as Kafka's clients in Java have it: their records of a key are in the same partition.
sub murmur2_partition
{
	my ($key, $partitions) = @_;
	use integer;
	my $mask = 0xffffffff;
	my ($m, $h) = (0x5bd1e995, (0x9747b28c ^ length $key) & $mask);
	my @bytes = unpack('C*', $key);

	while (@bytes >= 4)
	{
		my ($a, $b, $c, $d) = splice(@bytes, 0, 4);
		my $k = (($a | $b << 8 | $c << 16 | $d << 24) * $m) & $mask;

		$k = (($k ^ ($k >> 24)) * $m) & $mask;
		$h = (($h * $m) & $mask) ^ $k;
	}
	$h ^= $bytes[2] << 16 if @bytes > 2;
	$h ^= $bytes[1] << 8 if @bytes > 1;
	$h = (($h ^ $bytes[0]) * $m) & $mask if @bytes;
	$h = (($h ^ ($h >> 13)) * $m) & $mask;
	$h ^= $h >> 15;
	return ($h & 0x7fffffff) % $partitions;
}

# Each kind of write has its record; what is rolled back has none.
{
	my $topic = hybrid('plain', 'id text', 'n int, tags text[]', 3, $json);

	sql(q{SELECT plain.put('a', 1, '{x}'); SELECT plain.put('b', 2)});
	sql(q{BEGIN; SELECT plain.put('a', 99); ROLLBACK});
	sql(q{BEGIN; SELECT plain.put('c', 3); SAVEPOINT s; SELECT plain.put('c', 99); ROLLBACK TO s; SELECT plain.delete('b'); COMMIT});
	sql(q{SELECT plain.update('a', '{"n": {"$add": 5}, "tags": {"$union": ["y"]}}')});
	sql(q{SELECT plain.put('d', 4, _logical_time => '2026-01-01 00:00:00.000001+00')});
	wait_for_sql($node, q{SELECT string_agg(format('%s:%s:%s', id, n, tags), ' ' ORDER BY id) FROM plain.records}, 'a:6:{x,y} c:3: d:4:',
		'writes come back by the stream');
	is_deeply([ sort { $a cmp $b } produced($topic) ], [ sort { $a cmp $b }
		'a={"n":1,"tags":["x"]}', 'b={"n":2,"tags":null}', 'c={"n":3,"tags":null}', 'b=-',
		'a={"n": {"$add": 5}, "tags": {"$union": ["y"]}} venice_operation:update',
		'd={"n":4,"tags":null} venice_logical_time:1767225600000001' ], 'the records');
	is_deeply([ grep { $_->{partition} != murmur2_partition(text($_->{key}), 3) } @{ $kafka->consume($topic) } ], [], 'records are where Java would write them');
	wait_for_sql($node, q{SELECT state, pending, oldest_time IS NULL, produced, last_error FROM venice.stat_outbox WHERE store = 'plain'}, 'caught_up|0|t|6|', 'stat_outbox');
	is(sql('SELECT count(*) FROM plain_history.outbox'), '0', 'what was produced is deleted');
}

# An incremental push marks its begin and end in each partition, and is completed when they have been read.
{
	my $topic = hybrid('incremental', 'id text', 'n int', 3, $json);

	is(sql(q{SELECT venice.incremental_push('incremental', 'SELECT g::text, g FROM generate_series(1, 2500) g', 'monday')}), 'monday', 'id');
	wait_for_sql($node, q{SELECT origin, state, rows, ended_time IS NOT NULL FROM venice.pushes WHERE store = 'incremental' AND push_id = 'monday'},
		'incremental|completed|2500|t', 'it is completed');
	is(sql('SELECT count(*), sum(n) FROM incremental.records'), '2500|3126250', 'with all rows');
	my (%marks, %rows);

	for my $record (@{ $kafka->consume($topic) })
	{
		if (defined $record->{key}) { push @{ $marks{$record->{partition}} }, 'rows' unless $marks{$record->{partition}}[-1] eq 'rows'; $rows{text($record->{key})}++ }
		else { push @{ $marks{$record->{partition}} }, join(':', @{ $record->{headers}[0] }) }
	}
	is_deeply(\%marks, { map { $_ => [ 'venice_push_start:monday', 'rows', 'venice_push_end:monday' ] } 0 .. 2 }, 'each partition begins and ends');
	is(scalar(grep { $_ == 1 } values %rows), 2500, 'each row once');
	wait_for_sql($node, q{SELECT pending FROM venice.stat_outbox WHERE store = 'incremental'}, '0', 'the outbox is empty');
	is(sql(q{SELECT venice.incremental_push('incremental', 'SELECT ''x'', 1', 'monday'); SELECT count(*) FROM incremental_history.outbox}), "monday\n0", 'an id is pushed once');
}

# Whatever a column holds, a record of each format brings back: the twin has it without Kafka.
{
	my $avro = JSON::PP->new->canonical->encode({ type => 'record', name => 'all', fields => [ map { { name => $_->[0], type => [ 'null', $_->[1] ], default => undef } }
		[ b => 'boolean' ], [ i => 'int' ], [ l => 'long' ], [ f => 'float' ], [ d => 'double' ], [ s => 'string' ], [ y => 'bytes' ],
		[ x => { type => 'fixed', name => 'x', size => 3 } ], [ e => { type => 'enum', name => 'e', symbols => [ 'ONE', 'TWO' ] } ],
		[ n => { type => 'bytes', logicalType => 'decimal', precision => 30, scale => 4 } ],
		[ nf => { type => 'fixed', name => 'nf', size => 9, logicalType => 'decimal', precision => 20, scale => 2 } ],
		[ u => { type => 'string', logicalType => 'uuid' } ], [ dt => { type => 'int', logicalType => 'date' } ],
		[ tm => { type => 'int', logicalType => 'time-millis' } ], [ tu => { type => 'long', logicalType => 'time-micros' } ],
		[ sm => { type => 'long', logicalType => 'timestamp-millis' } ], [ su => { type => 'long', logicalType => 'timestamp-micros' } ],
		[ lm => { type => 'long', logicalType => 'local-timestamp-millis' } ], [ lu => { type => 'long', logicalType => 'local-timestamp-micros' } ],
		[ du => { type => 'fixed', name => 'du', size => 12, logicalType => 'duration' } ],
		[ al => { type => 'array', items => 'long' } ], [ af => { type => 'array', items => [ 'null', 'float' ] } ], [ as => { type => 'array', items => [ 'null', 'string' ] } ],
		[ aa => { type => 'array', items => { type => 'array', items => 'int' } } ], [ m => { type => 'map', values => [ 'null', 'double', 'string' ] } ],
		[ r => { type => 'record', name => 'r', fields => [ { name => 'p', type => 'int' }, { name => 'q', type => [ 'null', 'r' ], default => undef },
			{ name => 't', type => [ 'null', { type => 'long', logicalType => 'timestamp-micros' } ], default => undef } ] } ] ] });
	my $union = JSON::PP->new->canonical->encode({ type => 'record', name => 'several', fields => [ map { { name => $_->[0], type => $_->[1] } }
		[ v => [ 'null', 'long', 'double', 'string', { type => 'array', items => 'boolean' } ] ], [ w => [ 'string', 'null' ] ] ] });
	my $long_key = JSON::PP->new->canonical->encode({ type => 'record', name => 'k', fields => [ { name => 'id', type => 'long' } ] });
	my $rows = q{
		put(1);
		put(2, true, 2147483647, -9223372036854775808, 0.1, 0.1, E'\u00e4 "\\\\', '\x00ff', '\x010203', 'TWO', 12345678901234567890123456.7891, -12345.67,
			'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1969-12-31', '23:59:59.999', '24:00', '1969-12-31 23:59:59.999+00', '2026-01-02 03:04:05.678901+05',
			'2026-01-02 03:04:05.678', '1900-01-02 03:04:05.678901', '1 mon 2 days 00:00:03.004', '{1,-2}', '{1.1,NULL,-Infinity,NaN}', '{a,NULL,""}',
			'[[1,2],[],[3]]', '{"a": 1.5, "b": "x", "c": null}', '{"p": 1, "q": {"p": 2, "q": null, "t": "2026-01-01T00:00:00+00:00"}, "t": null}');
		put(3, false, -2147483648, 9223372036854775807, 'Infinity', 'NaN', '', '', '\x000000', 'ONE', -0.0001, 0.00,
			'00000000-0000-0000-0000-000000000000', '4713-01-01 BC', '00:00', '00:00:00.000001', '0001-01-01', '9999-12-31', '1970-01-01', '1970-01-01',
			'0', '{}', '{}', '{}', '[]', '{}', '{"p": 0, "q": null, "t": null}');
		put(4, n => 0.0000, nf => -128.00, l => 0, i => -1, d => 1e300, f => '-0');
		put(5, n => -32768.0000, nf => -32768.00, l => 63, i => 64, m => '{"k": "1"}');
		put(6, n => 0.0128, nf => 1.28, l => -64, i => -65);
		update(6, '{"l": {"$add": 2}, "s": "patched", "al": {"$union": [7]}, "r": {"p": 4, "q": null, "t": null}}');
		put(7, s => 'gone');
		delete(7)};

	sql(qq{SELECT venice.create_store('twin', 'id bigint', \$\$$avro\$\$); SELECT venice.create_store('twin_union', 'id bigint', \$\$$union\$\$)});
	my $several = q{put(1, '1', 'x'); put(2, '1.5'); put(3, '"text"', ''); put(4, '[true,false]'); put(5, NULL, NULL)};
	my %stores = (
		as_avro => [ $long_key, $avro, '"key_format": "avro", "value_format": "avro"', 'twin', $rows ],
		as_json => [ 'id bigint', $avro, '"key_format": "int8", "value_format": "json"', 'twin', $rows ],
		as_confluent => [ 'id bigint', $avro, '"value_format": "confluent-avro"', 'twin', $rows ],
		as_union => [ 'id bigint', $union, '"key_format": "json", "value_format": "confluent-avro"', 'twin_union', $several ]);
	my %written;

	for my $store (sort keys %stores)
	{
		my ($key, $value, $formats, $twin, $writes) = @{ $stores{$store} };
		hybrid($store, $key, $value, 1, $formats);
		for my $write (split /;\s*/, $writes =~ s/^\s+//r)
		{
			sql("SELECT $store.$write");
			sql("SELECT $twin.$write") unless $written{$twin};
		}
		$written{$twin} = 1;
		my $count = sql("SELECT count(*) FROM $twin.records");

		wait_for_sql($node, "SELECT count(*) FROM $store.records stored JOIN $twin.records other ON record_image_eq(stored, other)", $count, "$store has what was written", timeout_s => 30)
		  or diag(sql("SELECT stored::text FROM $store.records stored UNION ALL SELECT other::text FROM $twin.records other ORDER BY 1"));
		wait_for_sql($node, "SELECT count(*) FROM $store.records", $count, "$store has nothing else, once the deletion has come");
	}
}

# Columns without a schema have one made, which the registry is told of; later rows have its id at once.
{
	my $topic = hybrid('made', 'id bigint, part text', 'n int NOT NULL, amount numeric, at timestamptz, tags text[]', 2, '"value_format": "confluent-avro"');

	sql(q{SELECT made.put(1, 'a', 1, 1.50, '2026-01-01 00:00+00', '{x,NULL}')});
	wait_for_sql($node, q{SELECT r::text FROM made.records r}, '(1,a,1,1.50,"2026-01-01 00:00:00+00","{x,NULL}")', 'a schema that was made');
	is_deeply([ grep { /made/ } map { s{.*/subjects/}{}r } sort keys %{ $registry->served } ],
		[ "$topic-key", "$topic-key/versions", "$topic-value", "$topic-value/versions" ], 'the registry was asked, then told');
	is(sql(q{BEGIN; SELECT made.put(2, 'b', 2); SELECT key_schema IS NULL, value_schema IS NULL, get_byte(value, 4) > 0 FROM made_history.outbox; ROLLBACK}),
		"\nt|t|t", 'later writes know the id');
}

# A registry that does not answer holds writes up, visibly, and loses none.
{
	hybrid('held', 'id bigint', 'n int', 1, '"value_format": "confluent-avro"');
	$registry->fault('status', status => 500);
	sql('SELECT held.put(1, 1); SELECT held.put(1, 2)');
	wait_for_sql($node, q{SELECT state, pending, last_error FROM venice.stat_outbox WHERE store = 'held'}, 'retrying|2|schema registry answered with HTTP status 500', 'it says why it waits');
	$registry->fault(undef);
	wait_for_sql($node, 'SELECT id, n FROM held.records', '1|2', 'and goes on');
	wait_for_sql($node, q{SELECT state, pending, last_error FROM venice.stat_outbox WHERE store = 'held'}, 'caught_up|0|', 'with nothing left to say');
}

# A topic that does not exist is waited for; nothing is produced while the store is paused.
{
	my $topic = unique_name('late');

	sql(qq{SELECT venice.create_store('late', 'id text', 'n int', options => '{$json, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	sql(q{SELECT late.put('a', 1)});
	wait_for_sql($node, q{SELECT state, pending, last_error FROM venice.stat_outbox WHERE store = 'late'}, qq{waiting_for_topic|1|topic "$topic" does not exist}, 'it waits for the topic');
	sql(q{SELECT venice.pause_ingestion('late')});
	is(sql(q{SELECT state FROM venice.stat_outbox WHERE store = 'late'}), 'paused', 'a paused store');
	$kafka->topic($topic, 1);
	sql(q{SELECT late.put('b', 2)});
	is(sql(q{SELECT pending FROM venice.stat_outbox WHERE store = 'late'}), '2', 'keeps its writes');
	is_deeply([ produced($topic) ], [], 'and produces none');
	sql(q{SELECT venice.resume_ingestion('late')});
	wait_for_sql($node, q{SELECT state, pending FROM venice.stat_outbox WHERE store = 'late'}, 'caught_up|0', 'until it goes on');
	is_deeply([ produced($topic) ], [ 'a={"n":1}', 'b={"n":2}' ], 'in their order');

	# A prepared transaction is committed by somebody else.
	sql(q{BEGIN; SELECT late.put('p', 3); PREPARE TRANSACTION 'p'});
	sql(q{SELECT late.put('q', 4)});
	wait_for_sql($node, q{SELECT pending FROM venice.stat_outbox WHERE store = 'late'}, '0', 'others go on');
	sql(q{COMMIT PREPARED 'p'});
	wait_for_sql($node, q{SELECT pending FROM venice.stat_outbox WHERE store = 'late'}, '0', 'it is found');
	is_deeply([ (produced($topic))[2, 3] ], [ 'q={"n":4}', 'p={"n":3}' ], 'in the order of commits');
}

# A copy keeps what is not produced, and does not produce it.
{
	my $topic = hybrid('copied', 'id text', 'n int', 1, $json);

	sql(q{SELECT venice.pause_ingestion('copied'); SELECT copied.put('a', 1)});
	sql('CREATE DATABASE copy');
	system_or_bail('pg_dump', '-f', $node->basedir . '/dump.sql', $node->connstr('postgres'));
	system_or_bail('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/dump.sql', $node->connstr('copy'));
	is($node->safe_psql('copy', q{UPDATE venice.store SET paused = false; SELECT state, pending FROM venice.stat_outbox WHERE store = 'copied'}), 'paused|1', 'a restored database');
	sql(q{SELECT venice.resume_ingestion('copied')});
	wait_for_sql($node, q{SELECT pending FROM venice.stat_outbox WHERE store = 'copied'}, '0', 'the other one produces');
	is_deeply([ produced($topic) ], [ 'a={"n":1}' ], 'alone');
	is($node->safe_psql('copy', q{SELECT state, pending FROM venice.stat_outbox WHERE store = 'copied'}), 'paused|1', 'the copy still keeps it');
}

# Dropping a store says what is lost with it.
{
	sql(q{SELECT venice.pause_ingestion('copied'); SELECT copied.put('a', 1)});
	my (undef, undef, $notices) = $node->psql('postgres', q{SELECT venice.drop_store('copied')});

	like($notices, qr/WARNING:  1 write to store "copied" had not been produced/, 'a warning');
	is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'copied_history'}), '0', 'nothing is left of it');
}

log_is_clean($node, 'the log has nothing but what was meant');
done_testing();
