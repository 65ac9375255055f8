# Whatever dies during a push, the result is the same as if nothing had.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

# Small batches, so that whatever dies does so between many commits.
my $node = venice_cluster('main', conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\nfsync = on\nrestart_after_crash = on\n");
my $kafka = VeniceTest::Kafka->new;
my $bootstrap = $kafka->bootstrap;
my $partitions = 4;
my $expected;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});

# Records i .. j of a topic: keys come back, some are deleted.
my %model;

sub produce
{
	my ($topic, $first, $last) = @_;
	my @records;

	for my $i ($first .. $last)
	{
		my $key = ($i * 104729) % 3000;
		my $value = $i % 13 ? { n => $i } : undef;
		push @records, { key => "$key", value => $value, partition => $key % $partitions };
		if ($value) { $model{$key} = $i; } else { delete $model{$key}; }
	}
	$kafka->produce($topic, \@records, key => 'text', value => 'json');
	return;
}

sub push_with
{
	my ($name, $disaster) = @_;
	my $topic = "${name}_v1";

	%model = ();
	$kafka->topic($topic, $partitions);
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$name', 'id int', 'n int', 'k', '{"key_format": "text", "value_format": "json"}');
		SELECT venice.start_push('$name')});
	produce($topic, 1, 10000);
	wait_for_sql($node, "SELECT sum(messages) > 1000 FROM venice.stat_ingestion WHERE store = '$name'", 't', "$name: the load is on its way");
	$disaster->();
	produce($topic, 10001, 20000);
	wait_for_sql($node, "SELECT venice.end_push('$name')", qr/./, "$name: the end is requested");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$name' AND version = 1", 'current', "$name: the push completes",
		timeout_s => 120);
	is($node->safe_psql('postgres', "SELECT count(*), sum(id), sum(n) FROM $name.records"), model_sums(), "$name: every record counts once");
	is($node->safe_psql('postgres', "SELECT string_agg(id || ':' || n, ',' ORDER BY id) FROM $name.records"),
		join(',', map { "$_:$model{$_}" } sort { $a <=> $b } keys %model), "$name: the result is the topic's");
	is($node->safe_psql('postgres', "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$name'"), '20000',
		"$name: the counters say so too");
	return;
}

sub model_sums
{
	my ($ids, $ns) = (0, 0);

	$ids += $_ for keys %model;
	$ns += $_ for values %model;
	return join('|', scalar keys %model, $ids, $ns);
}

push_with('worker_killed', sub {
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'venice ingest worker' LIMIT 1");
	kill 'KILL', $pid;
	# The server restarts itself.
	wait_for_sql($node, 'SELECT 1', '1', 'the server has restarted itself'); });

push_with('worker_terminated', sub {
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'"); });

push_with('server_restarted', sub { $node->restart; });

push_with('server_crashed', sub { $node->stop('immediate'); $node->start; });

push_with('broker_killed', sub { $kafka->kill; $kafka->start; });

done_testing();
