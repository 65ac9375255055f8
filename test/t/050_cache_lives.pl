# Rows in memory where the memory is younger than a transaction: after a crash with a prepared one, on a standby that
# is promoted, and in several databases of one server.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', allows_streaming => 1);
my $cached = q{SET client_min_messages = error;
	SELECT venice.create_store('s', 'id integer', 'v integer', options => '{"cache": true}');
	SELECT venice.push('s', 'SELECT g, g FROM generate_series(1, 100) g')};
my $direct = 'SET venice.allow_direct_dml = on';

# Every answer of memory is the table's: read twice, so that what can be filled is.
sub is_exact
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($server, $name, $database) = @_;
	my $differences = 'SELECT count(*) FROM generate_series(1, 110) k LEFT JOIN s.records r ON r.id = k LEFT JOIN LATERAL s.get(k) g ON true WHERE r.v IS DISTINCT FROM g.v';

	return is($server->safe_psql($database // 'postgres', "$differences; $differences"), "0\n0", $name);
}

sub hits
{
	my ($server, $query) = @_;
	my $count = "SELECT COALESCE(sum(hits), 0) FROM venice.stat_read WHERE store = 's'";
	my ($before, $after) = split /\n/, $server->safe_psql('postgres', "$count; DO \$\$BEGIN PERFORM $query; END\$\$; $count");

	return $after - $before;
}

my $all = 's.batch_get(ARRAY(SELECT g FROM generate_series(1, 100) g))';

$node->safe_psql('postgres', $cached);
is_exact($node, 'a table and its rows in memory');
cmp_ok(hits($node, "count(*) FROM $all"), '==', 100, 'it is memory that answers');

# A prepared transaction has said what it changes to a memory that is gone when it commits.
for my $end ('COMMIT', 'ROLLBACK')
{
	for my $stop ('immediate', 'fast')
	{
		$node->safe_psql('postgres', "$direct; BEGIN; UPDATE s.records SET v = v + 1000 WHERE id <= 10; DELETE FROM s.records WHERE id = 11; INSERT INTO s.records VALUES (101, 101); PREPARE TRANSACTION 'p'");
		is_exact($node, "before a restart ($stop) with a prepared transaction");
		$node->stop($stop);
		$node->start;
		is_exact($node, "after it ($stop)");
		is(hits($node, "count(*) FROM $all"), 89, "and what it is about to replace is not kept ($stop)");
		$node->safe_psql('postgres', "$end PREPARED 'p'");
		is_exact($node, "after $end PREPARED ($stop)");
		cmp_ok(hits($node, "count(*) FROM $all"), '>=', 98, "and now rows are kept ($stop)");
		$node->safe_psql('postgres', "$direct; DELETE FROM s.records WHERE id > 100; INSERT INTO s.records VALUES (11, 11) ON CONFLICT DO NOTHING");
		is_exact($node, "and written to ($stop)");
	}
}

# One that is prepared, and committed while the server goes on.
$node->safe_psql('postgres', "$direct; BEGIN; UPDATE s.records SET v = 5 WHERE id = 5; PREPARE TRANSACTION 'p'");
is_exact($node, 'a prepared transaction has changed nothing yet');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
is_exact($node, 'and then it has');

# Databases of one server have their rows to themselves, be their tables called alike in every respect.
$node->stop;
$node->start;
$node->safe_psql('template1', 'CREATE DATABASE twin TEMPLATE postgres');
is_exact($node, 'the twin\'s model');
is_exact($node, 'the twin', 'twin');
is($node->safe_psql('twin', 'SELECT (SELECT oid FROM pg_class WHERE oid = \'s.records\'::regclass) IS NOT NULL'), 't', 'the twin has the table');
$node->safe_psql('twin', "$direct; UPDATE s.records SET v = -v");
is_exact($node, 'one was written to: the other', 'postgres');
is_exact($node, 'one was written to: itself', 'twin');
isnt($node->safe_psql('postgres', 'SELECT v FROM s.get(7)'), $node->safe_psql('twin', 'SELECT v FROM s.get(7)'), 'they differ');

# A standby has no memory for rows; what was prepared on its primary is prepared on it when it takes over.
$node->safe_psql('postgres', "$direct; BEGIN; UPDATE s.records SET v = v + 1 WHERE id <= 10; PREPARE TRANSACTION 'p'");
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is_exact($standby, 'on a standby');
is(hits($standby, "count(*) FROM $all"), 0, 'memory does not answer on a standby');
my $session = $standby->background_psql('postgres');
$session->query_safe('PREPARE look_up AS SELECT v FROM s.get(1)');
my $old = $session->query_safe('EXECUTE look_up');
$node->safe_psql('postgres', "$direct; UPDATE s.records SET v = v + 10000 WHERE id > 50");
$node->wait_for_catchup($standby);
is_exact($standby, 'a standby that follows');
$node->stop;
$standby->promote;
is_exact($standby, 'promoted, with a prepared transaction');
is(hits($standby, "count(*) FROM $all"), 90, 'and what it is about to replace is not kept');
is($session->query_safe('EXECUTE look_up'), $old, 'a session that was there before');
$standby->safe_psql('postgres', "COMMIT PREPARED 'p'");
is_exact($standby, 'promoted, and the prepared transaction committed');
is($session->query_safe('EXECUTE look_up'), $old + 1, 'the session sees it');
cmp_ok(hits($standby, "count(*) FROM $all"), '>=', 98, 'memory answers now');
$session->quit;

done_testing();
