# A version that was swapped away stays as long as a prepared transaction, a replication slot or a standby that
# sends feedback may read it, and then goes; a standby that sends none reads right or gets an error.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use VeniceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main', allows_streaming => 1, conf => "wal_receiver_status_interval = 1s\nautovacuum = off\n");
my $pushed = 0;

$node->safe_psql('postgres', q{
	SELECT venice.create_store('s', 'id integer', 'v integer', options => '{"versions_to_keep": 1}');
	CREATE TABLE other (n integer)});

sub push_next
{
	$pushed++;
	$node->safe_psql('postgres', "SELECT venice.push('s', 'SELECT g, $pushed FROM generate_series(1, 100) g')");
	return;
}

sub versions { return q{SELECT string_agg(version::text, ' ' ORDER BY version) FROM venice.versions WHERE schema IS NOT NULL}; }

# The version that was left is still there after rounds of maintenance that could have dropped it.
sub stays
{
	my ($name) = @_;
	my $expected = ($pushed - 1) . " $pushed";

	$node->safe_psql('postgres', 'CALL venice.run_maintenance()') for 1 .. 2;
	wait_for_sql($node, q{SELECT count(*) FROM venice.left_version WHERE transactions IS DISTINCT FROM '{}'}, '0', "$name: maintenance has seen the swap");
	$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
	is($node->safe_psql('postgres', versions()), $expected, "$name: it stays");
	like(sql_error($node, "SELECT venice.drop_version('s', $pushed - 1)"), qr/^55006: /, "$name: and cannot be dropped by hand");
	return;
}

sub goes
{
	my ($name) = @_;
	return wait_for_sql($node, versions(), $pushed, "$name: then it goes");
}

sub standby
{
	my ($name, $conf, $slot) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$node->backup($name);
	$standby->init_from_backup($node, $name, has_streaming => 1);
	$standby->append_conf('postgresql.conf', $conf . ($slot ? "primary_slot_name = '$slot'\n" : ''));
	$standby->start;
	return $standby;
}

push_next();
goes('the empty version');

# A prepared transaction.
$node->safe_psql('postgres', q{BEGIN; INSERT INTO other VALUES (1); PREPARE TRANSACTION 'p'});
push_next();
stays('prepared');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
goes('prepared');

# A standby with feedback: of its walreceiver while it runs, of its slot when it does not.
$node->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('slot')});
{
	my $standby = standby('feedback', "hot_standby_feedback = on\n", 'slot');
	my $reader;

	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$reader = $standby->background_psql('postgres');
	is($reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM s.get(1)'), $pushed, 'feedback: a standby reads');
	wait_for_sql($node, q{SELECT xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'slot'}, 't', 'feedback: the primary knows');

	push_next();
	stays('feedback');
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	is($reader->query_safe('SELECT DISTINCT v FROM s.batch_get(ARRAY(SELECT generate_series(2, 99)))'), $pushed - 1, 'feedback: what is current in the snapshot is read');
	is($standby->safe_psql('postgres', 'SELECT v FROM s.get(1)'), $pushed, 'feedback: and what is current now by who begins now');
	$reader->query_safe('COMMIT');
	goes('feedback');

	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM s.get(1)');
	wait_for_sql($node, q{SELECT age(xmin) < 5 FROM pg_replication_slots WHERE slot_name = 'slot'}, 't', 'slot: it has the standby\'s feedback');
	eval { $reader->quit };
	$standby->stop('immediate');
	wait_for_sql($node, q{SELECT active FROM pg_replication_slots WHERE slot_name = 'slot'}, 'f', 'slot: its standby is gone');
	push_next();
	stays('slot');
	$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('slot')});
	goes('slot');
}

# A logical slot keeps nothing, and decodes what was pushed into a version that is gone.
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('logical', 'test_decoding')});
push_next();
push_next();
goes('logical slot');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_logical_slot_get_changes('logical', NULL, NULL) WHERE data ~ 'table s_v\d+.records: INSERT'}), '200',
	'logical slot: both pushes are decoded');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('logical')});

# A standby without feedback: nobody waits for it, and it never reads anything wrong.
{
	my $standby = standby('silent', "hot_standby_feedback = off\nmax_standby_streaming_delay = 0\n");
	my $old = $standby->background_psql('postgres');
	my $first;
	my $file = $node->basedir . '/read.sql';
	my ($out, $err) = ('', '');
	my $readers;

	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$first = $pushed;
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');

	# A division by zero is how a script tells pgbench that an answer was wrong.
	append_to_file($file, q{
\set id random(1, 50)
SELECT v AS least FROM s.get(1) \gset
SELECT 1 / (count(*) = 50 AND count(DISTINCT v) = 1 AND min(v) >= :least)::int FROM s.batch_get((SELECT array_agg(g) FROM generate_series(:id, :id + 49) g));
});
	$readers = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', '2', '-T', 3600, '--max-tries', '1000', '-f', $file,
		'-U', 'postgres', '-h', $standby->host, '-p', $standby->port, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
	wait_for_sql($standby, q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'batch_get' AND pid <> pg_backend_pid()}, '2', 'no feedback: readers read');
	push_next() for 1 .. 30;
	goes('no feedback');
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	ok($readers->pumpable, 'no feedback: they still do');
	$readers->signal('INT');
	$readers->finish;
	unlike($err, qr/division by zero|does not exist|aborted/, 'no feedback: and never read anything wrong');
	is($standby->safe_psql('postgres', 'SELECT v FROM s.get(1)'), $pushed, 'no feedback: the standby has followed');

	# Its server may have ended the session, and psql with it.
	my $answer = eval { $old->query_safe('SELECT v FROM s.get(1)') } // '';
	ok($answer eq $first || $standby->log_contains(qr/conflict with recovery|has been dropped since the snapshot was taken/),
		'no feedback: an old snapshot reads what it saw, or is told that it cannot');
	eval { $old->quit };
}

done_testing();
