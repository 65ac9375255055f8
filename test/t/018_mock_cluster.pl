# Whatever brokers answer, a push ends complete and exact; until then it says what is
# wrong, and when that is over it says so too.
use strict;
use warnings;
use FindBin;
use POSIX ();
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Of the Kafka protocol.
my %requests = (Fetch => 1, ListOffsets => 2, Metadata => 3, OffsetCommit => 8, FindCoordinator => 10);
my %errors = (
	OFFSET_OUT_OF_RANGE => 1, CORRUPT_MESSAGE => 2, UNKNOWN_TOPIC_OR_PART => 3, LEADER_NOT_AVAILABLE => 5,
	NOT_LEADER => 6, REQUEST_TIMED_OUT => 7, COORDINATOR_NOT_AVAILABLE => 15, NOT_COORDINATOR => 16,
	TOPIC_AUTHORIZATION_FAILED => 29, KAFKA_STORAGE_ERROR => 56, FENCED_LEADER_EPOCH => 74, UNKNOWN_SERVER_ERROR => -1,
	disconnect => -195);

my $node = venice_cluster('main', conf => "venice.batch_rows = 100\nvenice.batch_delay = 5ms\n");
my $mock = VeniceTest::MockCluster->new(3);
my $bootstrap = $mock->bootstrap;
my $partitions = 3;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});

sub produce
{
	my ($topic, $first, $last) = @_;
	my @records = map { { key => "$_", value => { n => $_ }, partition => $_ % $partitions } } $first .. $last;

	return $mock->produce($topic, \@records, key => 'text', value => 'json');
}

# Three times as many records as $count: some of them before the fault, some in the midst of
# it, some after the end was requested as well as the cure.
sub push_through
{
	my ($name, %steps) = @_;
	my $topic = "${name}_v1";
	my $count = $steps{count} // 1000;

	$mock->command('topic', $topic, $partitions);
	$mock->command('leader', $topic, $_, 1 + $_) for 0 .. $partitions - 1;
	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$name', 'id int', 'n int', 'k', '{"key_format": "text", "value_format": "json"}');
		SELECT venice.start_push('$name')});
	produce($topic, 1, $count);
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = '$name'", $count, "$name: the topic is read");
	$steps{fault}->($topic);
	produce($topic, $count + 1, 2 * $count) unless $steps{silent};
	$steps{meanwhile}->($topic) if $steps{meanwhile};
	$node->safe_psql('postgres', "SELECT venice.end_push('$name')") if $steps{end_during};
	$steps{cure}->($topic) if $steps{cure};
	produce($topic, $steps{silent} ? ($count + 1, 3 * $count) : (2 * $count + 1, 3 * $count)) unless $steps{end_during};
	$node->safe_psql('postgres', "SELECT venice.end_push('$name')") unless $steps{end_during};
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$name' AND version = 1", 'current', "$name: the push ends",
		timeout_s => 120);
	my $total = $steps{end_during} ? ($steps{silent} ? 1 : 2) * $count : 3 * $count;
	is($node->safe_psql('postgres', "SELECT count(*), min(n), max(n), sum(n), bool_and(id = n) FROM $name.records"),
		join('|', $total, 1, $total, $total * ($total + 1) / 2, 't'), "$name: it is complete and exact");
	is($node->safe_psql('postgres', "SELECT sum(messages), count(last_error), sum(rejected) FROM venice.stat_ingestion WHERE store = '$name'"),
		"$total|0|0", "$name: every record came once, and no error is left");
	return;
}

sub unit
{
	my ($name) = @_;
	return "SELECT bool_or(state = 'retrying'), bool_or(last_error IS NOT NULL), bool_or(next_retry_time IS NOT NULL)
		FROM venice.stat_ingestion WHERE store = '$name'";
}

# The processor time that these processes have used, in seconds.
sub processor_s
{
	my $ticks = 0;

	for my $pid (@_)
	{
		my ($fields) = slurp_file("/proc/$pid/stat") =~ /\) (.*)/;
		my @fields = split / /, $fields;

		$ticks += $fields[11] + $fields[12];
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Leaders move while the topic is read.
push_through('leaders_move',
	fault => sub { $mock->command('leader', $_[0], $_, 1 + ($_ + 1) % 3) for 0 .. $partitions - 1; },
	cure => sub { $mock->command('leader', $_[0], $_, 1) for 0 .. $partitions - 1; });

# A partition without a leader waits for one.
push_through('no_leader', silent => 1,
	fault => sub { $mock->command('leader', $_[0], 1, -1); },
	end_during => 1,
	cure => sub { $mock->command('leader', $_[0], 1, 3); });

# Consumers are sent to a follower, and back.
push_through('follower',
	fault => sub { $mock->command('follower', $_[0], 0, 2); },
	cure => sub { $mock->command('follower', $_[0], 0, -1); });

# A follower that never gets what its leader has is found out, and the leader's records are read.
push_through('follower_behind',
	fault => sub { $mock->command('follower_end', $_[0], 0, 100); $mock->command('follower', $_[0], 0, 2); },
	meanwhile => sub { wait_for_sql($node, unit('follower_behind'), 't|t|t', 'follower_behind: that nothing comes is an error, and retried'); },
	cure => sub { $mock->command('follower', $_[0], 0, -1); $mock->command('follower_end', $_[0], 0, -1); });

# To wait for records that do not come takes no processor time, also where the end is known.
{
	my $topic = 'idle_v1';
	my $known = "SELECT count(*) FROM venice.stat_ingestion WHERE store = 'idle' AND end_offset > 0 AND pid IS NOT NULL";

	$mock->command('topic', $topic, $partitions);
	produce($topic, 1, 300);
	produce($topic, 301, 600);
	for my $partition (0 .. $partitions - 1)
	{
		$mock->command('leader', $topic, $partition, 1);
		$mock->command('follower_end', $topic, $partition, 50);
		$mock->command('follower', $topic, $partition, 2);
	}
	$node->safe_psql('postgres', q{
		SELECT venice.create_store('idle', 'id int', 'n int', 'k', '{"key_format": "text", "value_format": "json"}');
		SELECT venice.start_push('idle');
		SELECT venice.end_push('idle')});
	wait_for_sql($node, $known, $partitions, 'the ends are known');
	my @pids = split /\n/, $node->safe_psql('postgres', "SELECT DISTINCT pid FROM venice.stat_ingestion WHERE store = 'idle'");
	my $before = processor_s(@pids);
	wait_for_sql($node, unit('idle'), 't|t|t', 'that nothing comes is found out');
	cmp_ok(processor_s(@pids) - $before, '<', 1, 'after seconds of waiting that took hardly any processor time');
	for my $partition (0 .. $partitions - 1)
	{
		$mock->command('follower', $topic, $partition, -1);
		$mock->command('follower_end', $topic, $partition, -1);
	}
	wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'idle' AND version = 1", 'current', 'and the push ends when they come');
}

# What brokers refuse now and grant later is no error of the push: of records,
for my $error (sort keys %errors)
{
	my $name = 'fetch_' . lc $error;

	push_through($name, fault => sub { $mock->command('errors', $requests{Fetch}, $errors{$error}, 3); });
}

# of the questions that the end depends on, and of those that nobody waits for.
push_through('at_the_end',
	fault => sub {
		$mock->command('errors', $requests{ListOffsets}, $_, 2)
		  for @errors{qw(NOT_LEADER LEADER_NOT_AVAILABLE REQUEST_TIMED_OUT UNKNOWN_TOPIC_OR_PART UNKNOWN_SERVER_ERROR disconnect)};
	},
	end_during => 1);
push_through('metadata', fault => sub { $mock->command('topic_error', $_[0], $errors{LEADER_NOT_AVAILABLE}); }, silent => 1,
	end_during => 1, cure => sub { $mock->command('topic_error', $_[0], 0); });
push_through('coordinator',
	fault => sub {
		$mock->command('errors', $requests{FindCoordinator}, $_, 5) for @errors{qw(COORDINATOR_NOT_AVAILABLE disconnect)};
		$mock->command('errors', $requests{OffsetCommit}, $_, 5) for @errors{qw(NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE)};
	});

# Slow brokers make a slow push, not a failed one.
push_through('slow', count => 200, fault => sub { $mock->command('rtt', -1, 1500); }, cure => sub { $mock->command('rtt', -1, 0); });

# Of three brokers one is away; its partition has no other.
push_through('one_down', silent => 1,
	fault => sub { $mock->command('down', 2); },
	meanwhile => sub { wait_for_sql($node, "SELECT count(*) FROM venice.versions WHERE store = 'one_down' AND state = 'started'", '1', 'one_down: the push waits'); },
	cure => sub { $mock->command('up', 2); });

# All are away: that shows, and is forgotten when they are back.
push_through('all_down', silent => 1,
	fault => sub { $mock->command('down', -1); },
	meanwhile => sub { wait_for_sql($node, unit('all_down'), 't|t|t', 'all_down: it is retried, and the error says why'); },
	cure => sub {
		$mock->command('up', -1);
		wait_for_sql($node, unit('all_down'), 'f|f|f', 'all_down: no error is shown any more');
	});

done_testing();
