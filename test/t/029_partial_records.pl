# A record that carries some columns says what it says of those, exactly, and nothing of
# the others; one that cannot be understood is rejected for a reason.  Without Kafka.
use strict;
use warnings;
use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $json = JSON::PP->new->canonical->allow_nonref->allow_bignum;
my $library = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir('wire')) . '/wire_decode.so';
system_or_bail('sh', '-c', 'exec cc -shared -fPIC -O1 -Wall -Werror -o "$0" -I "$2" -I "$(${PG_CONFIG:-pg_config} --includedir-server)" "$1"',
	$library, "$VeniceTest::test_dir/wire/wire_decode.c", "$VeniceTest::test_dir/../src");

my $node = venice_cluster('main', conf => "timezone = 'UTC'\n");
$node->safe_psql('postgres', qq{
	CREATE FUNCTION wire_decode(columns regclass, keys int, options jsonb, key bytea, value bytea) RETURNS text LANGUAGE c AS '$library';
	CREATE FUNCTION wire_fuzz(columns regclass, keys int, options jsonb, key bytea, value bytea, rounds int, seed int, compared bool) RETURNS text LANGUAGE c STRICT AS '$library';
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE TABLE t (id bigint NOT NULL, i int, l bigint, f real, d double precision, s text, b bytea, bo boolean, n numeric(12,3), u uuid,
		da date, ti time, ts timestamptz, lt timestamp, iv interval, a text[], fl real[], j jsonb, v varchar(3), p positive, nn int NOT NULL, js json);
	CREATE TABLE users (id bigint NOT NULL, age bigint, tags text[], attrs jsonb);
	CREATE TABLE one (id bigint NOT NULL, x int)});

sub decode_sql
{
	my ($table, $options, $key, $value) = @_;

	return sprintf("SELECT wire_decode('%s', 1, \$o\$%s\$o\$, %s, %s)", $table, $json->encode($options),
		map { defined $_ ? "'\\x" . unpack('H*', $_) . "'" : 'NULL' } $key, $value);
}

sub decodes
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($table, $options, $key, $value, $expected, $name) = @_;

	is($node->safe_psql('postgres', decode_sql($table, $options, $key, $value)), $expected, $name);
	return;
}

sub raises
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($table, $options, $key, $value, $expected, $name) = @_;

	like(sql_error($node, decode_sql($table, $options, $key, $value)), $expected, $name);
	return;
}

# JSON
my %partial = (key_format => 'json', value_format => 'json', write_mode => 'partial');

sub json_is
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($value, $expected, $name, %options) = @_;

	decodes('t', { %partial, %options }, '1', $value, $expected, $name);
	return;
}

json_is('{"i": 1, "s": "x"}', 'update id=1 i:=1 s:=x', 'members that are there are set, others are kept, though they may not be NULL');
json_is('{}', 'update id=1', 'an update may say nothing');
json_is('{"i": null, "j": null}', 'update id=1 i:=NULL j:=NULL', 'null is NULL');
json_is('{"nn": null}', '23502: column "nn" is not null, but the value has no value for it', 'but not where NULL is not allowed');
json_is('{"i": 1, "unknown": {"$add": 1}, "id": 7}', 'update id=1 i:=1', 'what no column is read from is skipped');
json_is('{"l": {"$add": 9007199254740993}, "i": {"$add": null}}', 'update id=1 i+=NULL l+=9007199254740993', 'numbers are added to');
json_is('{"a": {"$union": ["x", "y"]}, "fl": {"$diff": [1.5], "$union": [2]}}', 'update id=1 a+={x,y} a-=NULL fl+={2} fl-={1.5}', 'members of arrays');
json_is('{"j": {"$merge": {"k": {"$add": 1}}, "$remove": ["l", "\u006d"]}}', 'update id=1 j+={"k": {"$add": 1}} j-={l,m}', 'and of objects, in which "$" means nothing');
json_is('{"j": {"plain": {"$add": 1}}}', 'update id=1 j:={"plain": {"$add": 1}}', 'nor within a value');
json_is('{"l": {"\u0024add": 1}}', 'update id=1 l+=1', 'an escape changes nothing');
json_is('{"i": {"$add": 1}, "i": 2, "j": 1, "j": {"$remove": []}}', 'update id=1 i:=2 j+=NULL j-={}', 'of members with the same name the last counts');
json_is('{"d": "NaN", "f": "-Infinity", "n": 12.345, "js": {"a" : 1, "a":2}, "b": "\\\\x00ff"}',
	'update id=1 f:=-Infinity d:=NaN b:=\x00ff n:=12.345 js:={"a" : 1, "a":2}', 'values are as they were written');
for my $bad (
	[ '{"i": {"$sub": 1}}', '22023: unrecognized operation "$sub" on column "i"' ],
	[ '{"i": {"$add": 1, "$union": [1]}}', '22023: unrecognized operation "$union" on column "i"' ],
	[ '{"j": {"a": 1, "$merge": {}}}', '22023: unrecognized operation "a" on column "j"' ],
	[ '{"j": {"$merge": {}, "longer name": 1}}', '22023: unrecognized operation "longer name" on column "j"' ],
	[ '{"j": {"$merge": [1]}}', '22023: "$merge" of column "j" is no object' ],
	[ '{"j": {"$remove": "k"}}', '22023: "$remove" of column "j" is no array of keys' ],
	[ '{"j": {"$remove": [1]}}', '22023: "$remove" of column "j" has a key that is no string' ],
	[ '[1]', '22P02: value is JSON, but not an object' ],
	[ '{"i": 1', '22P02: value is not valid JSON: The input string ended unexpectedly.' ],
	[ '{"i": {"$add": 1', '22P02: value is not valid JSON: The input string ended unexpectedly.' ],
	[ "{\"s\": \"\xff\"}", '22021: value is not UTF-8 text, or holds a NUL character' ],
	[ '{"j": ' . '{"a":' x 600 . '1' . '}' x 600 . '}', '54001: value is nested more than 512 levels deep' ])
{
	json_is($bad->[0], $bad->[1], 'rejected: ' . substr($bad->[0], 0, 40));
}
raises('t', \%partial, '1', '{"s": {"$add": 1}}', qr/^42804: column "s" is no number/, 'an operation that the type lacks');
raises('t', \%partial, '1', '{"i": {"$union": [1]}}', qr/^42804: column "i" has no members/, 'or another');
raises('t', \%partial, '1', '{"i": {"$add": 1.5}}', qr/^22P02: /, 'a number that would be rounded');
raises('t', \%partial, '1', '{"v": "long"}', qr/^22001: /, 'text that would be cut');
raises('t', \%partial, '1', '{"p": 0}', qr/^23514: /, 'a value that the domain refuses');

my %nested = (fields => { i => 'm.i', s => 'm.deep.s', j => 'm' });
json_is('{"m": {"i": 1, "deep": {"other": 1}}}', 'update id=1 i:=1 j:={"i": 1, "deep": {"other": 1}}', 'paths: what the inner object lacks is kept', %nested);
json_is('{"i": 1, "s": "x", "j": 2}', 'update id=1', 'and so is all of an object that is not there', %nested);
json_is('{"m": {"deep": null}}', 'update id=1 s:=NULL j:={"deep": null}', 'nothing is in what is null', %nested);
json_is('{"m": null}', 'update id=1 i:=NULL s:=NULL j:=NULL', 'at any depth', %nested);
json_is('{"m": {"i": {"$add": 2}}, "m": {"deep": {"s": "x"}}}', 'update id=1 s:=x j:={"deep": {"s": "x"}}', 'an object that is repeated replaces the earlier one', %nested);

my %in_value = (key_format => 'value');
json_is('{"id": 5, "i": 1}', 'update id=5 i:=1', 'keys in the value', %in_value);
json_is('{"i": 1}', '23502: column "id" is not null, but the value has no value for it', 'are there', %in_value);
json_is('{"id": {"$add": 1}}', '22023: column "id" is a key', 'and are no sums', %in_value);
decodes('t', { %partial, %in_value }, '{"id": 3}', undef, 'delete id=3', 'null is a delete');
decodes('t', \%partial, '3', undef, 'delete id=3', 'as it always is');
decodes('t', \%partial, undef, '{}', '23502: record has no key', 'a record without a key is rejected');
decodes('one', \%partial, '1', '42', 'update id=1 x:=42', 'a value that is no object is the only column');

# A patch is JSON of columns, whatever the records of the topic are.
for my $format (qw(json avro confluent-avro))
{
	my %options = (key_format => 'json', value_format => $format, patch => JSON::PP::true,
		value_schema => '{"type": "record", "name": "R", "fields": []}', fields => { i => 'm.i' });

	for my $mode (qw(full partial))
	{
		decodes('t', { %options, write_mode => $mode }, '1', '{"i": {"$add": 1}, "nothing": 1}', 'update id=1 i+=1', "a patch among records of $format, $mode");
	}
	decodes('t', \%options, '1', '{"i": ', '22P02: patch is not valid JSON: The input string ended unexpectedly.', 'that is none');
	decodes('t', \%options, '1', undef, 'delete id=1', 'a patch of nothing is a delete');
}
decodes('t', { key_format => 'value', value_format => 'json', patch => JSON::PP::true }, '{"id": 4}', '{"i": 1}', 'update id=4 i:=1',
	'its key is the record\'s, where those of others are in values');

# Avro
sub long { my ($n) = @_; return varint($n < 0 ? -2 * ($n + 1) + 1 : 2 * $n); }

sub varint
{
	my ($bits) = @_;
	my $bytes = '';

	while ($bits >= 128) { $bytes .= chr($bits & 127 | 128); $bits >>= 7; }
	return $bytes . chr($bits);
}

sub string { return long(length $_[0]) . $_[0]; }
sub record { my ($name, @fields) = @_; return { type => 'record', name => $name, fields => [ map { { name => $_->[0], type => $_->[1] } } @fields ] }; }

my $no_op = record('NoOp');

# Column, type (a union as a list), branch, bytes, and the value that they are.
my @types = (
	[ i => ['int'], 0, long(-2147483648), '-2147483648' ],
	[ l => ['long'], 0, long(9223372036854775807), '9223372036854775807' ],
	[ f => ['float'], 0, pack('H*', 'ffff7f7f'), '3.4028235e+38' ],
	[ d => ['double'], 0, pack('H*', '000000000000f87f'), 'NaN' ],
	[ d => ['double'], 0, pack('d<', 9**9**9), 'Infinity' ],
	[ d => ['double'], 0, pack('H*', '0000000000000080'), '-0' ],
	[ d => ['double'], 0, pack('d<', 0.1), '0.1' ],
	[ s => ['string'], 0, string('{"$add": 1}'), '{"$add": 1}' ],
	[ s => [{ type => 'enum', name => 'E', symbols => [ 'NoOp', 'B' ] }], 0, long(0), 'NoOp' ],
	[ b => ['bytes'], 0, string("\0\xff\""), '\x00ff22' ],
	[ b => [{ type => 'fixed', name => 'F', size => 2 }], 0, "\x01\x02", '\x0102' ],
	[ bo => ['boolean'], 0, "\0", 'f' ],
	[ n => [{ type => 'bytes', logicalType => 'decimal', precision => 12, scale => 3 }], 0, string(pack('H*', 'ff439eb2')), '-12345.678' ],
	[ u => [{ type => 'string', logicalType => 'uuid' }], 0, string('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' ],
	[ da => [{ type => 'int', logicalType => 'date' }], 0, long(19000), '2022-01-08' ],
	[ ti => [{ type => 'long', logicalType => 'time-micros' }], 0, long(86399999999), '23:59:59.999999' ],
	[ ts => [{ type => 'long', logicalType => 'timestamp-micros' }], 0, long(1700000000123456), '2023-11-14 22:13:20.123456+00' ],
	[ ts => [{ type => 'long', logicalType => 'timestamp-millis' }], 0, long(-1), '1969-12-31 23:59:59.999+00' ],
	[ lt => [{ type => 'long', logicalType => 'local-timestamp-millis' }], 0, long(1700000000123), '2023-11-14 22:13:20.123' ],
	[ l => [{ type => 'long', logicalType => 'timestamp-micros' }], 0, long(1700000000123456), '1700000000123456' ],
	[ iv => [{ type => 'fixed', name => 'D', size => 12, logicalType => 'duration' }], 0, pack('V3', 1, 2, 3), '1 mon 2 days 00:00:00.003' ],
	[ a => [{ type => 'array', items => 'string' }], 0, long(2) . string('a') . string('b,"') . long(0), '{a,"b,\""}' ],
	[ a => [{ type => 'array', items => 'string' }], 0, long(0), '{}' ],
	[ fl => [{ type => 'array', items => 'float' }], 0, long(2) . pack('f<2', 0.1, -2) . long(0), '{0.1,-2}' ],
	[ j => [{ type => 'map', values => 'long' }], 0, long(1) . string('$add') . long(9007199254740993) . long(0), '{"$add": 9007199254740993}' ],
	[ j => [{ type => 'array', items => { type => 'map', values => 'int' } }], 0, long(1) . long(1) . string('$union') . long(1) . long(0) . long(0), '[{"$union": 1}]' ],
	[ j => [ record('Plain', [ '_remove', { type => 'array', items => 'string' } ]) ], 0, long(1) . string('k') . long(0), '{"_remove": ["k"]}' ],
	[ j => [ record('ItsListOps', [ 'x', 'long' ]) ], 0, long(9007199254740993), '{"x": 9007199254740993}' ],
	[ j => [ 'int', 'string' ], 1, string('x'), '"x"' ],
	[ j => [ 'null', 'double' ], 1, pack('d<', 1e300), '1' . '0' x 300 ],
	[ i => [ 'null', 'int' ], 0, '', 'NULL' ],
	[ i => [ 'int', 'null' ], 0, long(7), '7' ],
	[ v => ['string'], 0, string('abc'), 'abc' ],
	[ p => ['int'], 0, long(1), '1' ],
	[ s => ['bytes'], 0, string('text'), 'text' ],
	[ d => ['int'], 0, long(3), '3' ]);

sub avro
{
	my ($schema, %options) = @_;

	return { key_format => 'json', value_format => 'avro', value_schema => $json->encode($schema), write_mode => 'partial', %options };
}

for my $case (@types)
{
	my ($column, $branches, $branch, $data, $expected) = @$case;
	my $plain = @$branches == 1 ? $branches->[0] : $branches;
	my $value = (@$branches == 1 ? '' : long($branch)) . $data;
	my $name = "$column from " . $json->encode($plain) . " $expected";
	my $update = record('U', [ other => [ $no_op, 'string' ] ], [ $column => [ 'NoOp', @$branches ] ]);

	# The whole record has the same value: that is how it is read in a push.
	my $whole = $node->safe_psql('postgres', decode_sql('t', avro(record('R', [ nn => 'int' ], [ $column => $plain ]), write_mode => 'full'), '1', long(1) . $value));
	like($whole, qr/^put id=1 .*\b\Q$column:=$expected\E( |$)/, "$name: whole");
	decodes('t', avro(record('R', [ $column => $plain ])), '1', $value, "update id=1 $column:=$expected", "$name: a record of some fields");
	decodes('t', avro($update), '1', long(0) . long($branch + 1) . $data, "update id=1 $column:=$expected", "$name: an update");
	decodes('t', avro($update), '1', long(0) . long(0), 'update id=1', "$name: kept");
}

# The bytes of reference/venice-protocol.md, from Venice's own serializer.
my $user = record('UserWriteOpRecord',
	[ age => [ $no_op, 'int' ] ],
	[ tags => [ 'NoOp', record('tagsListOps', map { [ $_ => { type => 'array', items => 'string' } ] } qw(setUnion setDiff)), { type => 'array', items => 'string' } ] ],
	[ attrs => [ 'NoOp', record('attrsMapOps', [ mapUnion => { type => 'map', values => 'int' } ], [ mapDiff => { type => 'array', items => 'string' } ]), { type => 'map', values => 'int' } ] ]);
my @vectors = (
	[ '023c0000', 'age:=30' ],
	[ '0002020278000202790000', 'tags+={x} tags-={y}' ],
	[ '0004020270000202026b020002027a00', 'tags:={p} attrs+={"k": 1} attrs-={z}' ]);

# A reader's schema has other names and types, fields that no writer has, and defaults.
my $reader = { type => 'record', name => 'User', fields => [
	{ name => 'age', type => 'long', default => 0 },
	{ name => 'labels', aliases => ['tags'], type => [ 'null', { type => 'array', items => 'string' } ], default => undef },
	{ name => 'attrs', type => { type => 'map', values => 'long' } },
	{ name => 'required', type => 'int' } ] };
my %confluent = (key_format => 'json', value_format => 'confluent-avro', write_mode => 'partial', schemas => { 7 => $json->encode($user) });
for my $vector (@vectors)
{
	my ($hex, $expected) = @$vector;
	my $data = pack('H*', $hex);

	decodes('users', avro($user), '1', $data, "update id=1 $expected", "Venice's update: $expected");
	decodes('users', \%confluent, '1', pack('CN', 0, 7) . $data, "update id=1 $expected", "in a Confluent frame: $expected");
	decodes('users', { %confluent, value_schema => $json->encode($reader), fields => { tags => 'labels' } }, '1', pack('CN', 0, 7) . $data,
		"update id=1 $expected", "with a reader's schema: $expected");
	for my $cut (0 .. length($data) - 1)
	{
		like($node->safe_psql('postgres', decode_sql('users', avro($user), '1', substr($data, 0, $cut))), qr/^22P03: value: /, "$hex cut after $cut bytes is rejected");
	}
}
decodes('users', \%confluent, '1', pack('CN', 0, 8), '42704: the test has no such schema', 'a schema that the registry lacks rejects its records');
decodes('users', { %confluent, schemas => { 7 => $json->encode(record('Clicks', [ age => 'int' ])) }, value_schema => $json->encode($reader) }, '1', pack('CN', 0, 7) . long(5),
	'update id=1 age:=5', 'a field that the writer has not is kept, though the reader\'s schema has a default, or none');
decodes('users', avro($user), '1', pack('H*', '08000000'), '22P03: value: field "age": Avro data is malformed at byte 1: a union has no such branch', 'a branch that there is not');

# An operation that a column's type lacks is an error of records that have it, not of others.
my $lists = record('W', [ j => [ $no_op, record('jListOps', map { [ $_ => { type => 'array', items => record("I_$_") } ] } qw(setUnion setDiff)), { type => 'array', items => 'I_setUnion' } ] ]);
decodes('t', avro($lists), '1', long(0), 'update id=1', 'a list of records, kept');
decodes('t', avro($lists), '1', long(2) . long(0), 'update id=1 j:=[]', 'set');
decodes('t', avro($lists), '1', long(1) . long(0) . long(0), '42804: value: field "j": jListOps cannot be applied to type jsonb', 'and changed, which jsonb cannot be');

# Names of operations mean nothing without NoOp, or with other fields.
my $no_update = record('R', [ j => record('jMapOps', [ mapUnion => { type => 'map', values => 'int' } ], [ mapDiff => { type => 'array', items => 'string' } ]) ]);
decodes('t', avro($no_update), '1', long(0) . long(0), 'update id=1 j:={"mapDiff": [], "mapUnion": {}}', 'a record with the name of an operation is a value');
my $other = record('R', [ j => [ $no_op, record('NoOpToo', [ x => 'int' ]), 'null' ] ]);
decodes('t', avro($other), '1', long(1) . long(4), 'update id=1 j:={"x": 4}', 'and so is one with nearly the name of none');

# Paths into records, which may be kept, null, or without the field.
my $paths = record('R', [ r => [ $no_op, 'null', record('Inner', [ i => 'int' ]) ] ], [ q => [ 'null', record('Q', [ l => 'long' ]) ] ]);
my %paths = (fields => { i => 'r.i', s => 'r.s', l => 'q.l', j => 'r', b => 'q.b' });
decodes('t', avro($paths, %paths), '1', long(0) . long(0), 'update id=1 l:=NULL', 'a record that is kept, one that is null');
decodes('t', avro($paths, %paths), '1', long(1) . long(1) . long(9), 'update id=1 i:=NULL l:=9 j:=NULL', 'one that is set to null');
decodes('t', avro($paths, %paths), '1', long(2) . long(5) . long(0), 'update id=1 i:=5 l:=NULL j:={"i": 5}', 'a field and all of it');

# Two columns that are read from one field do the same.
$node->safe_psql('postgres', 'CREATE TABLE twice (id bigint NOT NULL, a text[], b text[], j jsonb, k jsonb)');
my %both = (fields => { a => 'tags', b => 'tags', j => 'attrs', k => 'attrs' });
decodes('twice', avro($user, %both), '1', pack('H*', '00020202780002027900' . '0202026b020002027a00'),
	'update id=1 a+={x} a-={y} b+={x} b-={y} j+={"k": 1} j-={z} k+={"k": 1} k-={z}', 'two columns of one field');

# Keys in the value.
my $keyed = record('R', [ id => [ $no_op, 'long' ] ], [ i => [ 'NoOp', 'int' ] ]);
decodes('t', avro($keyed, %in_value), 'x', long(1) . long(5) . long(1) . long(6), 'update id=5 i:=6', 'keys in the value');
decodes('t', avro($keyed, %in_value), 'x', long(0) . long(1) . long(6), '23502: column "id" is not null, but the value has no value for it', 'are there');
decodes('t', avro(record('R', [ nn => [ 'null', 'int' ] ])), '1', long(0), '23502: value: field "nn" is null, which its column does not allow', 'NULL where it is not allowed');
raises('t', avro(record('R', [ p => 'int' ])), '1', long(0), qr/^23514: /, 'a value that the domain refuses');
raises('t', avro(record('R', [ i => 'string' ])), '1', string('x'), qr/^22P02: /, 'text that is no number');
raises('t', avro(record('R', [ i => 'double' ])), '1', '', qr/^42804: .*Avro type double does not fit type integer/, 'a schema that does not fit the columns');

# Hostile bytes: rejected for a reason, and read alike by an update and as a whole record.
sub survives
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($table, $options, $value, $compared, $name) = @_;

	is($node->safe_psql('postgres', sprintf("SELECT wire_fuzz('%s', 1, \$o\$%s\$o\$, '1', '\\x%s', 4000, 4711, %s)",
				$table, $json->encode($options), unpack('H*', $value), $compared)), 'ok', $name);
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE hostile (id bigint NOT NULL, i int, s text, a int[], j jsonb, js json, d double precision)');
my $members = '{"i": {"$add": 1}, "s": "\u00e9$", "a": {"$union": [1, 2], "$diff": [3]}, "j": {"$merge": {"k": [1]}, "$remove": ["l"]}, "d": 1e5}';
survives('hostile', \%partial, $members, 'true', 'operations in JSON');
survives('hostile', \%partial, '{"i": 12, "s": null, "a": [1, null], "j": {"x": {"y": [true]}}, "js": [ 1 ], "d": -0.5}', 'true', 'values in JSON');
survives('hostile', { %partial, fields => { i => 'm.i', j => 'm', s => 'm.n.s', d => 'm.n.d' } }, '{"m": {"i": 1, "n": {"s": "x", "d": 2}}, "a": [[1], [2]]}', 'true', 'paths in JSON');
survives('hostile', { %partial, patch => JSON::PP::true }, $members, 'false', 'a patch');
survives('users', avro($user), pack('H*', $vectors[2][0]), 'false', "Venice's updates");
survives('twice', avro($user, %both), pack('H*', $vectors[2][0]), 'false', 'read twice');
survives('t', avro($paths, %paths), long(2) . long(5) . long(1) . long(4), 'false', 'paths in Avro');
survives('hostile', avro(record('R', [ i => 'int' ], [ s => [ 'null', 'string' ] ], [ a => { type => 'array', items => [ 'null', 'int' ] } ], [ j => { type => 'map', values => [ 'null', 'double', 'string' ] } ], [ d => 'double' ])),
	long(7) . long(1) . string('abc') . long(2) . long(1) . long(3) . long(0) . long(0) . long(1) . string('k') . long(2) . string('v') . long(0) . pack('d<', 2.5), 'true', 'records of some fields');

# In a database of another encoding a patch has the characters that it has.
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin', q{
	CREATE EXTENSION venice;
	SELECT venice.create_store('l', 'id text', 's text, j jsonb')});
is($node->safe_psql('latin', qq{
	SET client_encoding = 'UTF8';
	SELECT l.update('k', '{"s": "\xc3\xa9", "j": {"\xc3\xa4": 1}}');
	SELECT s, j FROM l.get('k')}), "\n\xc3\xa9|{\"\xc3\xa4\": 1}", 'patches in LATIN1');

done_testing();
