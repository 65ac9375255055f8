# Real-time topics go on where the data went: in a promoted standby, in a dump that was restored, in two databases at once.
# Sums show each record that is missing or there twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = venice_cluster('primary', allows_streaming => 1, conf => "venice.batch_rows = 50\nvenice.batch_delay = 5ms\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my $topic = unique_name('sums');
my $written = 0;

# Each record adds 1 to one of ten sums.
sub produce
{
	my ($count) = @_;

	$kafka->produce($topic, [ map { { key => $_ % 10 . '', value => { n => { '$add' => 1 } }, partition => $_ % 2 } } 1 .. $count ], key => 'text', value => 'json');
	$written += $count;
	return;
}

sub is_exact
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $dbname, $name) = @_;

	wait_for_sql($node, "SELECT min(kafka_offset), max(kafka_offset) FROM venice.stat_ingestion WHERE store = 'sums'", $written / 2 . '|' . $written / 2,
		"$name: all is read", dbname => $dbname);
	is($node->safe_psql($dbname, q{SELECT count(*), sum(n) FROM sums.records; SELECT count(*), sum(n) FROM sums_v1.records}), "10|$written\n10|$written",
		"$name: each record is in both versions once");
	is($node->safe_psql($dbname, 'SELECT count(*) FROM sums_history.rows WHERE n > 0'), $written, "$name: and in the history");
	return;
}

$kafka->topic($topic, 2);
$primary->safe_psql('postgres', 'CREATE DATABASE source');
$primary->safe_psql('source', qq{
	CREATE EXTENSION venice;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('sums', 'id int', 'n int', NULL, '{"key_format": "text", "value_format": "json", "write_mode": "partial", "history": true,
		"real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
for (1 .. 2)
{
	$primary->safe_psql('source', q{SELECT venice.push('sums', 'SELECT g, 0 FROM generate_series(0, 9) g')});
	$primary->safe_psql('source', "CALL venice.wait_for_push('sums', timeout => '60 s')");
}
produce(300);
is_exact($primary, 'source', 'source');

# A dump has rows and positions of one moment; it is restored, and goes on when it is told to.
my $dump = PostgreSQL::Test::Utils::tempdir('dump') . '/source.dump';

run_command([ 'pg_dump', '-d', $primary->connstr('source'), '-Fc', '-f', $dump ]);
produce(200);
is_exact($primary, 'source', 'source, after a dump');
$primary->safe_psql('postgres', 'CREATE DATABASE restored');
run_command([ 'pg_restore', '-d', $primary->connstr('restored'), $dump ]);
is($primary->safe_psql('restored', 'SELECT sum(n) FROM sums.records'), '300', 'a restored store is as it was dumped');
is($primary->safe_psql('restored', "SELECT state FROM venice.stores WHERE store = 'sums'"), 'restored', 'and waits');
produce(200);
is_exact($primary, 'source', 'source, beside a restored one');
is($primary->safe_psql('restored', 'SELECT sum(n) FROM sums.records'), '300', 'which reads nothing');
$primary->safe_psql('restored', 'SELECT venice.resume_ingestion()');
is_exact($primary, 'restored', 'restored');
produce(100);
is_exact($primary, $_, "$_, both") for qw(source restored);

# The primary ends in the middle of a batch; what the standby had not got is read again.
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
produce(100);
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'}), '0', 'nothing of ours runs on a standby');
produce(500);
$primary->stop('immediate');
$standby->promote;
produce(100);
is_exact($standby, $_, "$_, promoted") for qw(source restored);
$standby->safe_psql('source', q{SELECT venice.repush('sums', 'SELECT * FROM current')});
$standby->safe_psql('source', "CALL venice.wait_for_push('sums', timeout => '60 s')");
is($standby->safe_psql('source', 'SELECT count(*), sum(n) FROM sums.records'), "10|$written", 'and is pushed to');
done_testing();
