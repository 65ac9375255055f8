# A real pg_dump against swaps: a dump that succeeds restores with every row of the version that was current
# when it began, one that a swap has come too near fails and says so, and a swap that waited follows the dump.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 300;
my $node = venice_cluster('main', conf => "venice.swap_lock_timeout = 5s\n");
my $dir = PostgreSQL::Test::Utils::tempdir('dump');
my $dumps = 0;

# "first" is older than the store and therefore dumped and locked before it, which lets a test stop a dump where it wants;
# its data are more than a pipe holds.
$node->safe_psql('postgres', qq{
	CREATE TABLE first AS SELECT repeat('x', 1000) AS filler FROM generate_series(1, 1000);
	CREATE TABLE stopped ();
	SELECT venice.create_store('s', 'id integer', 'v integer', options => '{"versions_to_keep": 9}');
	CREATE FUNCTION push(v integer) RETURNS integer LANGUAGE sql AS
		'SELECT venice.push(''s'', format(''SELECT g, %s FROM generate_series(1, $rows) g'', v))';
	SELECT push(1);
	SELECT push(2)});

# A version that is dropped between the dump's snapshot and its locks would fail the dump as well.
wait_for_sql($node, q{SELECT count(*) FROM pg_namespace WHERE nspname = 's_v0'}, '0', 'the empty version is dropped');

sub connection { return ('-h', $node->host, '-p', $node->port, '-U', 'postgres'); }

# The dump of database "postgres" as a process that runs: into a directory, and through what stops it.
sub start_dump
{
	my (%options) = @_;
	my $dump = { path => "$dir/" . ++$dumps, out => '', err => '' };
	my @command = ('pg_dump', connection(), '-Fc', '-Z0', @{ $options{options} // [] });

	@command = $options{pipe}
	  ? ('bash', '-c', 'set -o pipefail; pipe=$1; path=$2; shift 2; "$@" postgres | (read -r <"$pipe"; cat) >"$path"', 'dump', $options{pipe}, $dump->{path}, @command)
	  : (@command, '-f', $dump->{path}, 'postgres');
	$dump->{run} = IPC::Run::start(\@command, '<', \undef, '>', \$dump->{out}, '2>', \$dump->{err});
	return $dump;
}

sub finish_dump
{
	my ($dump) = @_;

	$dump->{run}->finish;
	return $dump->{run}->result(0) == 0;
}

# What a database looks like that was restored from the dump: the current version, its rows, their least and greatest value.
sub restored
{
	my ($dump) = @_;
	my $result;

	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	system_or_bail('pg_restore', connection(), '--exit-on-error', '-d', 'restored', $dump->{path});
	$result = $node->safe_psql('restored', q{
		SELECT current_version, (SELECT count(*) || '|' || min(v) || '|' || max(v) FROM s.records), (SELECT v FROM s.get(7)) FROM venice.stores});
	$node->safe_psql('postgres', 'DROP DATABASE restored');
	return $result;
}

sub current { return $node->safe_psql('postgres', 'SELECT current_version FROM venice.stores'); }

# A swap between the dump's snapshot and its locks: the dump waits for "first" with its snapshot taken.
foreach my $change (
	[ 'a push', 'SELECT push(3)' ],
	[ 'a roll-back', q{SELECT venice.rollback_version('s')} ],
	[ 'a push, for a parallel dump', 'SELECT push(4)', '-Fd', '-j', '2' ],
	[ 'a push, for a dump of the schema', 'SELECT push(5)', '-n', 'public', '-n', 's' ])
{
	my ($name, $sql, @options) = @$change;
	my $blocker = $node->background_psql('postgres');
	my ($dump, $old);

	$blocker->query_safe('BEGIN; LOCK TABLE first IN ACCESS EXCLUSIVE MODE');
	$dump = start_dump(options => \@options);
	wait_for_sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LOCK TABLE' AND wait_event_type = 'Lock'}, '1', "$name: the dump has its snapshot");
	$old = current();
	$node->safe_psql('postgres', $sql);
	isnt(current(), $old, "$name: the swap is made");
	$blocker->query_safe('COMMIT');
	$blocker->quit;
	ok(!finish_dump($dump), "$name: the dump fails");
	like($dump->{err}, qr/relation "s\.swap_gate_v$old" does not exist/, "$name: and says why");
}

# A swap while the dump writes waits for it, and comes soon after.
{
	my ($dump, $old, $pipe) = (undef, current(), "$dir/pipe");

	system_or_bail('mkfifo', $pipe);
	$dump = start_dump(pipe => $pipe);
	wait_for_sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'}, '1', 'a dump is writing');
	$node->safe_psql('postgres', 'SET client_min_messages = error; SELECT push(100)');
	is($node->safe_psql('postgres', q{SELECT state FROM venice.versions ORDER BY version DESC LIMIT 1}), 'waiting_for_dump', 'a push waits for it');
	append_to_file($pipe, "go on\n");
	ok(finish_dump($dump), 'the dump succeeds');
	wait_for_sql($node, q{SELECT min(v) FROM s.records}, '100', 'the swap follows', timeout_s => 20);
	is(restored($dump), "$old|$rows|5|5|5", 'what was dumped is the version from before it');
}

# Parallel dumps, whose processes ask for their locks with NOWAIT, while somebody waits to swap all the time, and swaps
# whenever he can: what does not fail is whole.  He lets old versions go now and then, each of which makes a dump longer.
$node->safe_psql('postgres', q{
	CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$
	DECLARE
		n integer := 1000;
	BEGIN
		WHILE EXISTS (SELECT FROM pg_class WHERE relname = 'stopped') LOOP
			n := n + 1;
			WHILE (SELECT count(*) FROM venice.versions) > 50 LOOP
				COMMIT;
				PERFORM pg_sleep(0.01);
			END LOOP;
			SET LOCAL client_min_messages = error;
			BEGIN
				PERFORM venice.abort_push('s') FROM venice.versions WHERE state = 'waiting_for_dump';
				PERFORM push(n);
			EXCEPTION WHEN object_in_use OR lock_not_available THEN
				NULL;
			END;
			COMMIT;
		END LOOP;
	END$$});
{
	my $churn = IPC::Run::start([ 'psql', '-XqAt', connection(), '-c', 'CALL churn()', 'postgres' ], '<', \undef, '>', \my $out, '2>', \my $err);
	my ($whole, $failed, @bad) = (0, 0);

	foreach my $n (1 .. 30)
	{
		my $dump = start_dump(options => [ [], [ '-Fd', '-j', '3' ], [ '-n', 's', '-n', 'public', '-n', 'venice' ] ]->[ $n % 3 ]);

		if (!finish_dump($dump))
		{
			$failed++;
			push @bad, $dump->{err} if $dump->{err} !~ /(?:relation "s\w*\.(?:swap_gate_v\d+|records)"|schema "s_v\d+") does not exist/;
		}
		elsif ($n % 3 == 2)
		{
			$whole++;		# without the extension there is nothing to restore into
		}
		else
		{
			my $state = restored($dump);

			$whole++;
			push @bad, $state if $state !~ /^\d+\|$rows\|(\d+)\|\1\|\1$/;
		}
	}
	is_deeply(\@bad, [], 'each dump is whole or fails for a reason');
	cmp_ok($whole, '>', 0, "some are whole ($whole of 30)");
	note("$failed dumps failed");
	$node->safe_psql('postgres', 'DROP TABLE stopped');
	$churn->finish;
	is($err, '', 'and nobody else has met an error');
	cmp_ok($node->safe_psql('postgres', q{SELECT swaps FROM venice.stat_store}), '>', 20, 'there were swaps');
}

done_testing();
