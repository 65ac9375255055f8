# A store reads Avro whose schemas are in a real schema registry, under its path
# prefix: what the stand-in of the other tests says is what a real one says.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $kafka = VeniceTest::Kafka->shared;
my $registry = VeniceTest::Apicurio->new;
my $node = venice_cluster('main');
my $topic = unique_name('clicks');

$kafka->format('key', 'long', registry => $registry->url, subject => "$topic-key");
$kafka->format(
	'value',
	{
		type => 'record',
		name => 'Clicks',
		fields => [
			{ name => 'clicks', type => 'int' },
			{ name => 'country', type => [ 'null', 'string' ], default => undef }
		]
	},
	registry => $registry->url,
	subject => "$topic-value");
$kafka->topic($topic, 2);
$kafka->produce(
	$topic,
	[ map { { key => $_, value => { clicks => 10 * $_, country => 'NZ' } } } 1 .. 100 ],
	key => 'key',
	value => 'value');
$kafka->produce($topic, [ { key => 100 } ], key => 'key');

$node->safe_psql('postgres', <<"END");
CREATE SERVER kafka FOREIGN DATA WRAPPER venice_kafka
	OPTIONS (bootstrap_servers '${\$kafka->bootstrap}', schema_registry_url '${\$registry->url}');
SELECT venice.create_store('clicks', 'user_id bigint', 'clicks bigint, country text', 'kafka',
	'{"version_topic": "$topic"}');
SELECT venice.start_push('clicks');
SELECT venice.end_push('clicks');
END
is( $node->safe_psql('postgres', "SELECT ok FROM venice.check_server('kafka') WHERE part = 'registry'"),
	't', 'check_server reaches the registry');
wait_for_sql(
	$node,
	"SELECT state FROM venice.versions WHERE store = 'clicks' AND version = 1",
	'current', 'the push is read with the schemas of the registry');
is( $node->safe_psql('postgres', 'SELECT count(*), sum(clicks), min(country) FROM clicks.records'),
	'99|49500|NZ', 'every record but the deleted one is there');

# The schemas are kept: a node that restarts needs no registry.
undef $registry;
$node->restart;
$node->safe_psql('postgres', "SELECT venice.start_push('clicks'); SELECT venice.end_push('clicks')");
wait_for_sql(
	$node,
	"SELECT state FROM venice.versions WHERE store = 'clicks' AND version = 2",
	'current', 'the next push is read without the registry');

done_testing;
