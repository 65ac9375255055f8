# A store that is over a quota waits and says so; others go on, and so does it when it is under again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "venice.max_ingest_workers = 1\nvenice.batch_rows = 100\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});

sub create_store
{
	my ($store, $topic, $more) = @_;
	my $options = qq({"key_format": "text", "value_format": "json", "version_topic": "$topic"$more});

	$node->safe_psql('postgres', qq{SELECT venice.create_store('$store', 'id text', 'v text', 'k', '$options')});
	return;
}

sub produce
{
	my ($topic, $first, $last) = @_;
	$kafka->produce($topic, [ map { { key => "k$_", value => { v => 'x' x 1000 } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

sub messages
{
	my ($store) = @_;
	return $node->safe_psql('postgres', "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store'");
}

my ($full, $other) = (unique_name('full'), unique_name('other'));

# Over its storage quota a store is not loaded, and says why; the others' pushes end meanwhile, with the same worker.
{
	$kafka->topic($_, 2) for $full, $other;
	create_store('brim', $full, ', "storage_quota": 400000');
	create_store('other', $other, '');
	$node->safe_psql('postgres', "SELECT venice.start_push('brim')");
	produce($full, 1, 1000);
	wait_for_sql($node, "SELECT state FROM venice.stores WHERE store = 'brim'", 'over_quota', 'a store comes to be over its quota');
	wait_for_sql($node, "SELECT DISTINCT state, pid IS NULL, last_error ~ 'over its storage quota' FROM venice.stat_ingestion WHERE store = 'brim'",
		'paused|t|t', 'its partitions wait, without a worker, and say why');
	my $before = messages('brim');
	produce($full, 1001, 2000);
	produce($other, 1, 300);
	$node->safe_psql('postgres', "SELECT venice.start_push('other'); SELECT venice.end_push('other')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'other' AND version = 1", 'current', 'others are loaded');
	is(messages('brim'), $before, 'it is not');
	$node->restart;
	wait_for_sql($node, "SELECT DISTINCT state, pid IS NULL FROM venice.stat_ingestion WHERE store = 'brim'", 'paused|t', 'nor is it after a restart');
	$node->safe_psql('postgres', q{SELECT venice.alter_store('brim', '{"storage_quota": 100000000}'); SELECT venice.end_push('brim')});
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'brim' AND version = 1", 'current', 'with a larger one it goes on by itself');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM brim.records'), '2000', 'where it was');
	is($node->safe_psql('postgres', "SELECT state FROM venice.stores WHERE store = 'brim'"), 'ok', 'and is well');
}

# Rows come at the rate of the write quota; what waits is seen.
{
	my $slow = unique_name('slow');
	my $paused = "SELECT count(*) > 0 FROM venice.stat_ingestion WHERE store = 'slow' AND version = %d AND state = 'paused' AND last_error ~ 'write quota' AND lag > 0";

	$kafka->topic($slow, 2);
	produce($slow, 1, 1000);
	create_store('slow', $slow, ', "write_quota": 10');
	$node->safe_psql('postgres', "SELECT venice.start_push('slow'); SELECT venice.end_push('slow')");
	wait_for_sql($node, sprintf($paused, 1), 't', 'a store that is over its write quota waits, with a lag');
	$node->safe_psql('postgres', q{SELECT venice.alter_store('slow', '{"write_quota": 400}')});
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'slow' AND version = 1", 'current', 'and comes to its end');
	my $seconds = $node->safe_psql('postgres', "SELECT extract(epoch FROM ended_time - started_time) FROM venice.versions WHERE store = 'slow' AND version = 1");
	cmp_ok($seconds, '>', 1, 'not sooner than the quota lets');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM slow.records'), '1000', 'with all rows');

	# Without one, and at once, it is as fast as it can be.
	$node->safe_psql('postgres', q{SELECT venice.alter_store('slow', '{"write_quota": 1}'); SELECT venice.start_push('slow')});
	wait_for_sql($node, sprintf($paused, 2), 't', 'a push that would take an hour');
	$node->safe_psql('postgres', q{SELECT venice.alter_store('slow', '{"write_quota": null}'); SELECT venice.end_push('slow')});
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'slow' AND version = 2", 'current', 'ends when the quota is gone');
}

done_testing();
