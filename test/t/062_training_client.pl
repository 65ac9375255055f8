# A training job gets its data through ADBC as Arrow, with a spine that it brings along, and leaves training sets on the server.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

chomp(my $venv = `$VeniceTest::test_dir/../examples/training/fetch`);
BAIL_OUT('there are no Python packages') if $?;

my $node = venice_cluster('main', conf => "timezone = 'Asia/Tokyo'\n");
$node->safe_psql('postgres', q{
	CREATE ROLE job LOGIN;
	CREATE SCHEMA job AUTHORIZATION job;
	GRANT CREATE ON DATABASE postgres TO job;
	SET ROLE job;
	SET search_path = job;
	CREATE TABLE delays (carrier text, at timestamptz, delay float8, n int, on_time boolean, exact numeric, hours int[]);
	INSERT INTO delays VALUES ('UA', '2013-06-01 08:00+00', 2.5, 7, true, 1.50, '{6,7}'), ('AA', '2013-06-01 13:00+00', 9, 9, false, 9, '{}');
	CREATE TABLE label (id bigint, carrier text, at timestamptz, label float8);
	INSERT INTO label VALUES (1, 'UA', '2013-06-01 12:00+00', 1), (2, 'AA', '2013-06-01 12:00+00', 2), (3, 'AA', '2013-06-01 13:00+00', 3);
	SELECT venice.create_entity('client_carrier', 'carrier text');
	SELECT venice.create_source('client_delays', relation => 'delays', event_time => 'at');
	SELECT venice.create_feature_view('client_stats', '{client_carrier}', 'client_delays', 'delay, n AS flights, on_time, exact, hours');
	SELECT venice.create_service('client_model', '{client_stats:*}');
	ALTER ROLE job SET search_path = job, public});

my $uri = 'postgresql://job@/postgres?host=' . $node->host . '&port=' . $node->port;
my ($output, $errors) = run_command([ "$venv/bin/python", "$VeniceTest::test_dir/python/training_client.py", $uri, "$VeniceTest::test_dir/../doc/reference.md" ]);
is($errors, '', 'the session runs to its end');
my %result = map { /^([^:]+): (.*)$/ ? ($1 => $2) : () } split /\n/, $output;

like($result{'naive times'}, qr/column "event_time" of the spine has no time zone.*42804/, 'times without a zone are refused, of a spine that was brought along');
is($result{columns}, 'id int64, carrier string, event_time timestamp[us], arr_delay double, delay double, flights int32, on_time bool, exact extension<arrow.opaque[storage_type=string, type_name=numeric, vendor_name=PostgreSQL]>, hours list<item: int32>',
	'columns arrive as what they are, in the order of the spine and the service');
is($result{rows}, q([{'id': 1, 'carrier': 'UA', 'event_time': datetime.datetime(2013, 6, 1, 12, 0), 'arr_delay': 1.5, 'delay': 2.5, 'flights': 7, 'on_time': True, 'exact': '1.50', 'hours': [6, 7]}, )
	. q({'id': 2, 'carrier': 'AA', 'event_time': datetime.datetime(2013, 6, 1, 12, 0), 'arr_delay': None, 'delay': None, 'flights': None, 'on_time': None, 'exact': None, 'hours': None}, )
	. q({'id': 3, 'carrier': None, 'event_time': datetime.datetime(2013, 6, 1, 12, 0), 'arr_delay': 3.0, 'delay': None, 'flights': None, 'on_time': None, 'exact': None, 'hours': None}]),
	'read in the zone that was named, nothing is seen that was not known');
is("$result{made} $result{extended}", '2 1', 'a training set is made on the server, and extended');
is($result{train}, q({'id': [1, 2, 3], 'delay': [2.5, None, 9.0], 'flights': [7, None, 9]}), 'and read from there');
is($result{noted}, q(('{default.client_stats@1}', 3, 2, '1')), 'which notes what it was made of');
is($result{snapshot}, q({'carrier': ['UA'], 'delay': [2.5]}), 'a day is read as it was');
is($result{hashes}, '12 keys, differ: []', 'the hash of the manual is the hash of the server');
log_is_clean($node, 'the server log has nothing to worry about');

done_testing();
