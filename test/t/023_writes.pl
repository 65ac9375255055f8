# Every write that was acknowledged is in the store once, whatever goes on and whatever is killed meanwhile: several clients
# put and add in transactions, some of which are rolled back, while versions are pushed, pushed again, swapped, rolled back
# and retired.  $VENICE_SEED: the order of kills and of what the clients do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(time usleep);
use VeniceTest;

my $seed = $ENV{VENICE_SEED} || 1 + time % 1_000_000;
my $kills = $ENV{VENICE_KILLS} || 4;
my $clients = 4;
my $keys = 12;

diag("VENICE_SEED=$seed VENICE_KILLS=$kills");
srand($seed);

my $node = venice_cluster('main', conf => "venice.cache_size = 8MB\nrestart_after_crash = on\n");

$node->safe_psql('postgres', qq{
	SET client_min_messages = error;
	SELECT venice.create_store('s', 'id integer', 'total bigint, marks text[], last text',
		options => '{"history": true, "cache": true, "versions_to_keep": 3}');
	SELECT venice.push('s', 'SELECT g, 0, ''{}''::text[], NULL FROM generate_series(1, $keys) g')});

# A client is a psql that is given one transaction at a time, and says when it is done: what it says is acknowledged.  A
# transaction whose end nobody has told us of is looked for by its mark, which it has left in each of its keys.
sub client_start
{
	my %client = (in => '', out => '', err => '');

	$client{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'postgres' ],
		'<', \$client{in}, '>', \$client{out}, '2>', \$client{err});
	return \%client;
}

my (@transactions, %errors);

# Two or three keys in the order of keys: so do clients who do not care for deadlocks.
sub begin_transaction
{
	my ($client) = @_;
	my @chosen = sort { $a <=> $b } keys %{ { map { 1 + int(rand($keys)) => 1 } 1 .. 1 + int(rand(3)) } };
	my $mark = scalar @transactions;
	my %adds = map { $_ => 1 + int(rand(100)) } @chosen;
	my $is_undone = rand() < 0.2;
	my $sql = '';

	for my $key (@chosen)
	{
		$sql .= qq{SELECT s.update($key, '{"total": {"\$add": $adds{$key}}, "marks": {"\$union": ["$mark"]}, "last": "$mark"}') \\g /dev/null\n};

		# An acknowledged part of a transaction may be undone as well, and its key is written to again.
		$sql .= qq{SAVEPOINT a; SELECT s.delete($key) \\g /dev/null\nROLLBACK TO a;\n} if rand() < 0.2;
	}
	push @transactions, { mark => $mark, adds => \%adds, state => 'open' };
	$client->{transaction} = $transactions[-1];
	$client->{end} = $is_undone ? 'ROLLBACK' : 'COMMIT';
	$client->{in} .= "BEGIN;\n$sql$client->{end};\n\\echo done $mark\n";
	return;
}

# Take what the clients have said, and give those who wait something to do.
sub turn
{
	my ($is_last, $all) = @_;
	my $busy = 0;

	for my $client (@$all)
	{
		my $transaction = $client->{transaction};
		my $is_alive = eval { $client->{run}->pump_nb; $client->{run}->pumpable };

		if ($transaction && $client->{out} =~ /done $transaction->{mark}\n/)
		{
			$transaction->{state} = $client->{end} eq 'COMMIT' ? 'acknowledged' : 'undone';
			$client->{out} = '';
			$transaction = $client->{transaction} = undef;
		}
		if (!$is_alive)
		{
			eval { $client->{run}->finish };
			$errors{$1}++ if $client->{err} =~ /ERROR:\s+(.*)/;
			$transaction->{state} = $client->{end} eq 'COMMIT' ? 'in doubt' : 'undone' if $transaction;
			$client = $is_last ? { run => $client->{run} } : client_start();
			$transaction = undef;
		}
		elsif (!$transaction && !$is_last)
		{
			begin_transaction($client);
			$transaction = $client->{transaction};
		}
		$busy++ if $transaction && $is_alive;
	}
	return $busy;
}

# What an administrator does; that it may be refused, or killed, is not of interest here.
my @administration = (
	q{SELECT venice.push('s', 'SELECT id, total - total, ''{}''::text[], NULL::text FROM s.records')},
	q{SELECT venice.repush('s', 'SELECT * FROM current WHERE id > 0')},
	q{SELECT venice.abort_push('s')},
	q{SELECT venice.rollback_version('s')},
	q{DO $$ DECLARE v integer; BEGIN
		v := (SELECT version FROM venice.start_push('s'));
		EXECUTE format('INSERT INTO s_v%s.records (id, total) SELECT g, 0 FROM generate_series(1, 12) g', v);
		PERFORM venice.end_push('s', v, swap => false); END $$},
	q{SELECT venice.swap_version('s', version) FROM venice.versions WHERE store = 's' AND state = 'ready'},
	q{CALL venice.run_maintenance()});

my @clients = map { client_start() } 1 .. $clients;
my @administrators;
my $rounds = 12 * $kills;
my $deadline = time + 300;
my %disasters = (
	'SIGKILL of a writer' => sub {
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND query ~ '^SELECT s.update' LIMIT 1});

		kill 'KILL', $pid if $pid;
		usleep(10_000) while $pid && kill 0, $pid;
	},
	'immediate stop' => sub { $node->stop('immediate'); $node->start; },
	'termination of everybody' => sub {
		$node->psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()'); });

for my $round (1 .. $rounds)
{
	my $goal = @transactions + 15;

	push @administrators, {
		sql => $administration[ rand @administration ], out => '', err => '' };
	my $administrator = $administrators[-1];
	$administrator->{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-c', $administrator->{sql} ],
		'<', \undef, '>', \$administrator->{out}, '2>', \$administrator->{err});
	while (@transactions < $goal && time < $deadline)
	{
		turn(0, \@clients);
		usleep(2_000);
	}
	if ($round % 12 == 6)
	{
		my $name = (sort keys %disasters)[ ($seed + int($round / 12)) % 3 ];

		note("round $round: $name");
		$disasters{$name}->();
		wait_for_sql($node, 'SELECT 1', '1', "$name: the server answers again");
	}

	# While one who waits for the writers has to be let through, they go on.
	while (eval { $administrator->{run}->pump_nb; $administrator->{run}->pumpable } && time < $deadline)
	{
		turn(0, \@clients);
		usleep(2_000);
	}
	eval { $administrator->{run}->finish };
}
while (turn(1, \@clients) > 0 && time < $deadline) { usleep(2_000); }
for my $client (grep { exists $_->{in} } @clients)
{
	$client->{in} .= "\\q\n";
	eval { $client->{run}->finish };
}
cmp_ok(time, '<', $deadline, 'all came to an end');
my $done = grep { $_->{state} eq 'acknowledged' } @transactions;
cmp_ok($done, '>', @transactions / 2, 'most transactions were acknowledged');
my %complaints = map { $_ => $errors{$_} } grep { !/terminat|shutting down|starting up|recovery|closed|crash/ } keys %errors;
is_deeply(\%complaints, {}, 'nobody was refused for anything but what was killed');
my @refused = grep { /ERROR/ && !/is running|no push in progress|no version|no backup|does not exist|terminating|is not complete|cannot (?:roll|be)|is (?:current|already)/ } map { $_->{err} } @administrators;
is(join("\n", @refused), '', 'nor an administrator for anything but the state of the store');

# Those in doubt are where their marks are, in each of their keys or in none.
sub marks_of
{
	my ($records) = @_;
	my %marks;

	for my $line (split /\n/, $node->safe_psql('postgres', "SELECT id, unnest(marks) FROM $records"))
	{
		my ($key, $mark) = split /\|/, $line;

		$marks{$mark}{$key}++;
	}
	return \%marks;
}

my $found = marks_of('s.records');
my ($expected, $torn) = ({}, 0);
my %totals = map { $_ => 0 } 1 .. $keys;
for my $transaction (@transactions)
{
	my $there = $found->{ $transaction->{mark} };

	next if $transaction->{state} eq 'undone' || ($transaction->{state} ne 'acknowledged' && !$there);
	$expected->{ $transaction->{mark} } = { map { $_ => 1 } keys %{ $transaction->{adds} } };
	$totals{$_} += $transaction->{adds}{$_} for keys %{ $transaction->{adds} };
}
note(sprintf('%d transactions, %d acknowledged, %d undone, %d in doubt', scalar @transactions, $done,
	map { my $state = $_; scalar grep { $_->{state} eq $state } @transactions } 'undone', 'in doubt'));
is_deeply($found, $expected, 'every acknowledged transaction is there in all of its keys, once, and no other');
my $rows = join("\n", map { "$_|$totals{$_}" } sort { $a <=> $b } keys %totals);
my $writes = sum0(map { scalar keys %$_ } values %$expected);
is($node->safe_psql('postgres', 'SELECT id, total FROM s.records ORDER BY id'), $rows, 'each was added once');

# So have the other complete versions, but for one that is retired while we look.
my $compared = 0;
for my $records (split /\n/, $node->safe_psql('postgres',
	q{SELECT records FROM venice.versions WHERE store = 's' AND state IN ('ready', 'current', 'backup', 'rolled_back') AND version > 0}))
{
	my ($code, $differences) = $node->psql('postgres', qq{SELECT count(*) FROM $records r FULL JOIN s.records c USING (id)
		WHERE (r.total, r.marks, r.last) IS DISTINCT FROM (c.total, c.marks, c.last)});

	next if $code != 0;
	is($differences, '0', "$records: the same rows");
	$compared++;
}
cmp_ok($compared, '>', 0, 'versions were compared');

# The past has each write, and its last word is the present.
is($node->safe_psql('postgres', q{SELECT count(DISTINCT (id, last)) FROM s_history.rows WHERE last IS NOT NULL AND NOT _deleted}),
	$writes, 'the past has every write');
is($node->safe_psql('postgres', q{SELECT count(*) FROM s.records r LEFT JOIN LATERAL (SELECT * FROM s_history.rows h WHERE h.id = r.id
	ORDER BY event_time DESC, created_time DESC NULLS LAST, arrival DESC LIMIT 1) h ON true WHERE (h.total, h.last) IS DISTINCT FROM (r.total, r.last)}),
	'0', 'and the present is the last of it');
is($node->safe_psql('postgres', q{SELECT g, total FROM generate_series(1, 12) g, s.get(g) ORDER BY g}), $rows,
	"look-ups answer $_ what the table has") for 'from the index', 'from memory';

# The log of writes has one of each, which another push adds to what it is given.
$node->safe_psql('postgres', q{SELECT venice.abort_push('s') FROM venice.versions WHERE store = 's' AND state IN ('started', 'building', 'ready', 'waiting_for_dump');
	SELECT venice.push('s', 'SELECT g, 0, ''{}''::text[], NULL FROM generate_series(1, 12) g')});
is($node->safe_psql('postgres', 'SELECT id, total FROM s.records ORDER BY id'), $rows, 'a push from nothing comes to the same');

done_testing();
