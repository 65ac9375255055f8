# What comes from a real-time topic expires like what is put, in every version, and is not back with the next push.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $topic = unique_name('session');
my $now = int(time) * 1000;
my $hour = 3_600_000;
my $rows = "SELECT string_agg(format('%s:%s', id, n), ' ' ORDER BY id) FROM session.records";

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");
$kafka->topic($topic, 2);
$node->safe_psql('postgres', qq{SELECT venice.create_store('session', 'id int', 'n int', NULL,
	'{"key_format": "text", "value_format": "json", "ttl": "1 day", "rewind": "7 days",
	  "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
$kafka->produce($topic, [ { key => '1', value => { n => 1 }, timestamp_ms => $now - 48 * $hour },
	{ key => '2', value => { n => 2 }, timestamp_ms => $now - $hour },
	{ key => '8', value => { n => 8 }, timestamp_ms => $now - 48 * $hour } ], key => 'text', value => 'json');

$node->safe_psql('postgres', "SELECT venice.push('session', 'SELECT g, 0 FROM generate_series(8, 9) g')");
$node->safe_psql('postgres', "CALL venice.wait_for_push('session', timeout => '60 s')");
is($node->safe_psql('postgres', $rows), '2:2 9:0', 'what has expired is not in a version that has caught up');

$kafka->produce($topic, [ { key => '3', value => { n => 3 }, timestamp_ms => $now - 48 * $hour },
	{ key => '4', value => { n => 4 } } ], key => 'text', value => 'json');
wait_for_sql($node, "SELECT count(*) FROM session.records WHERE id = 4", '1', 'a record comes');
$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
wait_for_sql($node, $rows, '2:2 4:4 9:0', 'one that comes late goes again');

$node->safe_psql('postgres', "SELECT venice.repush('session')");
$node->safe_psql('postgres', "CALL venice.wait_for_push('session', timeout => '60 s')");
is($node->safe_psql('postgres', $rows), '2:2 4:4 9:0', 'a repush has the same');
$node->safe_psql('postgres', q{SELECT venice.repush('session', options => '{"ttl": "30 minutes"}')});
$node->safe_psql('postgres', "CALL venice.wait_for_push('session', timeout => '60 s')");
is($node->safe_psql('postgres', $rows), '4:4 9:0', 'one with another ttl has less');
$kafka->produce($topic, [ { key => '5', value => { n => 5 } } ], key => 'text', value => 'json');
wait_for_sql($node, $rows, '4:4 5:5 9:0', 'and is written to');

done_testing();
