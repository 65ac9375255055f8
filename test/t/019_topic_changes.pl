# A topic that is deleted, emptied or replaced while it is read makes the push fail with
# a clear error, or changes nothing; it never makes a version of two topics' records.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});

sub produce
{
	my ($topic, $first, $last, %options) = @_;
	my @records = map { { key => "k$_", value => { n => $_ }, partition => $options{partition} // 0, timestamp_ms => $options{timestamp_ms} // 1_700_000_000_000 } }
	  $first .. $last;

	# A producer that lives on knows the old topic.
	return $kafka->produce($topic, \@records, key => 'text', value => 'json', transaction => 'commit');
}

# A push that has read 100 records of a topic of its own; returns the topic's name.
sub begin_push
{
	my ($store, %options) = @_;
	my $topic = unique_name($store);

	$kafka->topic($topic, $options{partitions} // 1);
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', 'id text', 'n int', 'k',
			'{"key_format": "text", "value_format": "json", "version_topic": "$topic"}');
		SELECT venice.start_push('$store')});
	produce($topic, 1, 100, %options);
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store'", '100', "$store: the topic is read");
	return $topic;
}

sub pause { my ($store) = @_; return $node->safe_psql('postgres', "SELECT venice.pause_ingestion('$store')"); }
sub resume { my ($store) = @_; return $node->safe_psql('postgres', "SELECT venice.resume_ingestion('$store')"); }

sub fails_with
{
	my ($store, $error, $name) = @_;

	wait_for_sql($node, "SELECT state, error || '; ' || detail FROM venice.versions WHERE store = '$store' AND version = 1",
		qr/^failed\|$error$/, $name);
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store.records"), '0', "$store: nobody reads any of it");
	return;
}

# Its records are gone: to wait would be to wait for something else.
{
	my $topic = begin_push('deleted');

	$kafka->delete_topic($topic);
	fails_with('deleted', qr/partition 0 of topic "$topic" does not exist; It was there, and was loaded up to offset 100\./,
		'a topic that is deleted while it is read fails the push');
}

# A topic of that name that is made again is another one: shorter,
{
	my $topic = begin_push('shorter');

	pause('shorter');
	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	produce($topic, 1, 10);
	resume('shorter');
	fails_with('shorter', qr/partition 0 of topic "$topic" has no offset 99: its records begin at 0 and end before (?:0|11); .*/,
		'a topic that is made again with fewer records fails the push');
}

# longer,
{
	my $topic = begin_push('longer');

	pause('longer');
	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	produce($topic, 1, 200, timestamp_ms => 1_700_000_001_000);
	resume('longer');
	fails_with('longer', qr/topic "$topic" was replaced while it was read; Partition 0 has another record at offset 99 than the one that was loaded\./,
		'a topic that is made again with more records fails the push');
}

# shorter than what was loaded although the end was requested, which it is behind,
{
	my $topic = begin_push('ended');

	pause('ended');
	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	produce($topic, 1, 10);
	$node->safe_psql('postgres', "SELECT venice.end_push('ended')");
	resume('ended');
	fails_with('ended', qr/partition 0 of topic "$topic" has no offset 99: .*/, 'what lies behind the end of such a topic is not taken for loaded');
}

# exactly as long,
{
	my $topic = begin_push('equal');

	pause('equal');
	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	produce($topic, 1, 100, timestamp_ms => 1_700_000_001_000);
	$node->safe_psql('postgres', "SELECT venice.end_push('equal')");
	resume('equal');
	fails_with('equal', qr/topic "$topic" was replaced while it was read; .*/, 'neither is one that ends where the old one did');
}

# or with fewer partitions.
{
	my $topic = begin_push('narrower', partitions => 2, partition => 1);

	pause('narrower');
	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	resume('narrower');
	fails_with('narrower', qr/partition 1 of topic "$topic" does not exist; It was there, .*/,
		'a topic that is made again with fewer partitions fails the push');
}

# While the worker is reading, too.
{
	my $topic = begin_push('live');

	$kafka->delete_topic($topic);
	$kafka->topic($topic, 1);
	produce($topic, 1, 10);
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'live' AND version = 1", 'failed',
		'a topic that is replaced under a worker fails the push');
}

# What was loaded may expire: only what was not is missed.
{
	my $topic = begin_push('expired');

	pause('expired');
	produce($topic, 101, 200);
	my $next = $node->safe_psql('postgres', "SELECT kafka_offset FROM venice.stat_ingestion WHERE store = 'expired'");
	$kafka->request('delete_records', topic => $topic, partition => 0, before => 0 + $next);
	resume('expired');
	$node->safe_psql('postgres', "SELECT venice.end_push('expired')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'expired' AND version = 1", 'current',
		'a push goes on where what it has loaded was removed');
	is($node->safe_psql('postgres', 'SELECT count(*), sum(n) FROM expired.records'), '200|20100', 'and has all records');

	$node->safe_psql('postgres', q{SELECT venice.start_push('expired')});
	wait_for_sql($node, "SELECT messages FROM venice.stat_ingestion WHERE store = 'expired' AND version = 2", '100', 'a second push reads what is left');
	pause('expired');
	produce($topic, 201, 300);
	# By the position, not by the topic's end: that is known only when the transaction's marker is written.
	$next = $node->safe_psql('postgres', "SELECT kafka_offset FROM venice.stat_ingestion WHERE store = 'expired' AND version = 2");
	$kafka->request('delete_records', topic => $topic, partition => 0, before => $next + 90);
	resume('expired');
	wait_for_sql($node, "SELECT state, error ~ 'has no offset' FROM venice.versions WHERE store = 'expired' AND version = 2", 'failed|t',
		'and fails where what it has not loaded was removed');
}

# What expired before anybody asked for it is not missed: a topic is loaded from where it begins.
for my $ends_first (0, 1)
{
	my $store = "late_$ends_first";
	my $topic = unique_name($store);

	$kafka->topic($topic, 2);
	produce($topic, 1, 100);
	produce($topic, 101, 110, partition => 1);
	$kafka->request('delete_records', topic => $topic, partition => 0, before => 90);
	$kafka->request('delete_records', topic => $topic, partition => 1, before => -1);	# all of them
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', 'id text', 'n int', 'k',
			'{"key_format": "text", "value_format": "json", "version_topic": "$topic"}');
		SELECT venice.start_push('$store')});
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$store'", '10', "$store: a topic is read from where it begins")
	  if !$ends_first;
	$node->safe_psql('postgres', "SELECT venice.end_push('$store')");
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = 1", 'current',
		"$store: a push of a topic that begins late, and of a partition that is empty by now, ends");
	is($node->safe_psql('postgres', "SELECT count(*), sum(n) FROM $store.records"), '10|955', "$store: with what is there");
}

done_testing();
