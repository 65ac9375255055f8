# A history is whole whatever is killed while its partitions are rewritten, and they are rewritten in the end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main');
my $whole = q{SET enable_seqscan = off; SELECT count(*), sum(n), count(DISTINCT id), sum(length(note)), (SELECT sum(n) FROM items_history.rows WHERE id = 17) FROM items_history.rows};
my $working = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'history: store items'};

# Makes the worker rewrite the partition, and returns once it is at it.
sub provoke
{
	my ($why) = @_;

	$node->safe_psql('postgres', 'DELETE FROM venice.compacted_partition');
	wait_for_sql($node, $working, 't', "$why: the worker is at it");
	return;
}

sub is_finished
{
	my ($why) = @_;

	wait_for_sql($node, q{SELECT compacted FROM venice.histories WHERE store = 'items'}, '1', "$why: it is rewritten in the end", timeout_s => 180);
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'items_history'::regnamespace AND relname LIKE 'pg_temp%'}),
		'0', "$why: and nothing is left over");
	return;
}

$node->safe_psql('postgres', q{
	SELECT venice.create_store('items', 'id integer', 'n integer, note text', options => '{"history": true}');
	CREATE TABLE items_history.late PARTITION OF items_history.rows FOR VALUES FROM ('2019-01-01 UTC') TO ('2020-01-01 UTC');
	INSERT INTO venice.compacted_partition (store_name, partition_name, pages) VALUES ('items', 'late', 1000000);
	INSERT INTO items_history.rows (id, n, note, event_time)
		SELECT i % 1000, i, CASE i % 1000 WHEN 17 THEN (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 100) AS j) END,
		       '2019-02-01 UTC'::timestamptz + i * interval '10 seconds' FROM generate_series(1, 300000) AS i});
my $before = $node->safe_psql('postgres', $whole);

for my $round (1 .. 3)
{
	# A reader keeps the last step from being taken: there is something to kill for sure.
	my $reader = $node->background_psql('postgres');
	$reader->query_safe('BEGIN; SELECT 1 FROM items_history.late LIMIT 1');
	provoke("crash $round");
	$node->stop('immediate');
	eval { $reader->quit };
	$node->start;
	is($node->safe_psql('postgres', $whole), $before, "crash $round: all of it is there");
	is_finished("crash $round");
	is($node->safe_psql('postgres', $whole), $before, "crash $round: and stays so");
}

my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT 1 FROM items_history.late LIMIT 1');
provoke('end of the worker');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'history: store items'});
is($node->safe_psql('postgres', $whole), $before, 'end of the worker: all of it is there');
$reader->quit;
is_finished('end of the worker');
is($node->safe_psql('postgres', $whole), $before, 'end of the worker: and stays so');

done_testing();
