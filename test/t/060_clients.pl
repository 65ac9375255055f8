# Services look up through four drivers, directly and through pgbouncer in transaction mode, as doc/clients.md says.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::RealBin/../lib";
use Time::HiRes qw(usleep);
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $examples = "$VeniceTest::test_dir/../examples/clients";
chomp(my $venv = `$VeniceTest::test_dir/python/venv`);
chomp(my $programs = `$examples/build`);
BAIL_OUT('the examples do not build') if $?;

my $node = venice_cluster('main', conf => "listen_addresses = '127.0.0.1'\n");
$node->safe_psql('postgres', q{
	SELECT venice.create_store('user_features', 'user_id bigint', 'clicks bigint, country text, embedding real[]');
	CREATE ROLE service LOGIN;
	GRANT USAGE ON SCHEMA user_features TO service;
	GRANT SELECT ON user_features.records TO service});

# Rows of version N: keys 1 and 4, what is different in each being the clicks.
sub push_version
{
	my ($n, $more) = @_;
	$more //= '';
	return $node->safe_psql('postgres', qq{SELECT venice.push('user_features',
		\$\$VALUES (1, 10 + $n, 'DE', '{1.5,0.25}'::real[]$more), (4, 40 + $n, 'SE', NULL$more)\$\$)});
}

# Transactions go to the server's connections in turn, so that none may count on the connection of the
# one before; in the database "narrow" all share one connection, so that none may leave anything there.
my $directory = PostgreSQL::Test::Utils::tempdir('pgbouncer');
my $bouncer_port = PostgreSQL::Test::Cluster::get_free_port();
my $server = 'host=' . $node->host . ' port=' . $node->port . ' dbname=postgres';

append_to_file("$directory/users", "\"service\" \"\"\n");
append_to_file("$directory/pgbouncer.ini", <<END);
[databases]
postgres = $server min_pool_size=2
narrow = $server pool_size=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
logfile = $directory/log
pidfile = $directory/pid
auth_type = trust
auth_file = $directory/users
pool_mode = transaction
server_round_robin = 1
END
{
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	my $deadline = time + 60;

	# It is in the background before it listens.
	system('pgbouncer', '-q', '-d', "$directory/pgbouncer.ini") == 0 or BAIL_OUT('pgbouncer does not start');
	until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$bouncer_port"))
	{
		BAIL_OUT('pgbouncer does not listen') if time > $deadline;
		usleep(20_000);
	}
}

END
{
	local $?;
	kill 'TERM', slurp_file("$directory/pid") if $directory && -e "$directory/pid";
}

my %command = (
	psycopg => [ "$venv/bin/python", "$examples/psycopg_client.py" ],
	pgjdbc => [ 'java', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-cp', "$programs:$programs/*", 'PgjdbcClient' ],
	pgx => [ "$programs/pgx_client" ],
	libpq => [ "$programs/libpq_client" ]);

# Options: pooled => 1, the program's setting for pgbouncer; parameters => more of the connection string.
sub start_client
{
	my ($driver, $port, $dbname, %options) = @_;
	my $parameters = $options{parameters} // '';
	my $connection = $driver eq 'pgjdbc'
	  ? "jdbc:postgresql://127.0.0.1:$port/$dbname?user=service$parameters"
	  : "host=127.0.0.1 port=$port dbname=$dbname user=service$parameters";
	return VeniceTest::Process->new(@{ $command{$driver} }, $connection, $options{pooled} ? 'pooled' : ());
}

# What a program prints for a command.
sub answer
{
	my ($client, $command) = @_;
	my ($answer, $line) = ('');

	$client->write_line($command);
	$answer .= "$line\n" while ($line = $client->read_line) ne 'end';
	return $answer;
}

# What it prints for "look" of version N.
sub expected
{
	my ($driver, $n) = @_;
	my ($one, $four) = (10 + $n . ' DE 1.5,0.25', 40 + $n . ' SE null');
	my $each = "$four; absent; $one\n";

	return "get: ${each}batch: 1 4 $four; 3 1 $one\npacked: $each" . ($driver eq 'pgjdbc' ? '' : "pipeline: $each");
}

my %client;
for my $driver (sort keys %command)
{
	$client{"$driver, directly"} = start_client($driver, $node->port, 'postgres');
	$client{"$driver, through pgbouncer"} = start_client($driver, $bouncer_port, 'postgres', pooled => 1);
}
# The same as part of the connection string.
$client{"pgx, through pgbouncer, $_"} = start_client('pgx', $bouncer_port, 'postgres', parameters => " default_query_exec_mode=$_")
  for qw(cache_describe exec);
$client{'pgjdbc, through pgbouncer, by URL'} = start_client('pgjdbc', $bouncer_port, 'postgres', parameters => '&prepareThreshold=0');

sub all_answer
{
	my ($n, $when) = @_;

	for my $name (sort keys %client)
	{
		is(answer($client{$name}, 'look'), expected($name =~ s/,.*//r, $n), "$name: $when");
	}
}

# A row, a key that is not there, a batch, a packed batch and several gets at once, on one connection for
# its whole life, with statements that were prepared long ago where the driver prepares them.
push_version(1);
all_answer(1, 'every kind of look-up answers');
is(answer($client{"psycopg, $_"}, 'vectors'), "compute: [(4, None), (1, 4.0)]\npacked: [None, None, 4.0]\ntop_k: [(1, 4.0)]\n", "psycopg, $_: a query vector against those of keys, and of all")
  for 'directly', 'through pgbouncer';
push_version(2);
all_answer(2, 'what was prepared answers from the version that a swap has made current');
$node->safe_psql('postgres', q{SELECT venice.rollback_version('user_features')});
all_answer(1, 'and from the version that was gone back to');

# Statements that name their columns do not notice that one is added.  Of others those that are prepared are
# refused with 0A000: pgJDBC prepares them again by itself, pgx the next time, psycopg never.
is(answer($client{$_}, 'star'), "3 columns\n", "$_: a statement that names no columns") for sort keys %client;
$node->safe_psql('postgres', q{SELECT venice.alter_store('user_features', value => 'clicks bigint, country text, embedding real[], tag text')});
push_version(3, ", 'x'");
all_answer(3, 'a column that is added is no concern of a statement that names its columns');

my %refused = (
	'psycopg, directly' => [ '0A000', '0A000' ],
	'pgx, directly' => ['0A000'],
	'pgx, through pgbouncer' => ['08P01'],
	'pgx, through pgbouncer, cache_describe' => ['08P01']);

for my $name (sort keys %client)
{
	my @refused = @{ $refused{$name} // [] };
	my @answers = map { answer($client{$name}, 'star') } 1 .. 2;

	is_deeply(\@answers, [ (map { "error: $_\n" } @refused), ("4 columns\n") x (2 - @refused) ],
		"$name: a statement that names no columns, when one was added");
}

# With the settings for a direct connection statements are prepared by name, and two clients that meet on
# one connection of the server are in each other's way.
for my $driver (sort keys %command)
{
	my @clients = map { start_client($driver, $bouncer_port, 'narrow') } 1 .. 2;

	is(answer($clients[0], 'look'), expected($driver, 3), "$driver: without the setting for pgbouncer, one client prepares its statements");
	like(answer($clients[1], 'look'), qr/error: 42P05$/, "$driver: and the next is refused");
}

# What a service can branch on.
$node->safe_psql('postgres', 'REVOKE SELECT ON user_features.records FROM service');
like(answer($client{$_}, 'look'), qr/error: 42501$/, "$_: privileges are looked at in each look-up") for sort keys %client;
$node->safe_psql('postgres', q{SELECT venice.drop_store('user_features')});
like(answer($client{$_}, 'look'), qr/error: 3F000$/, "$_: the store was dropped") for sort keys %client;

done_testing();
