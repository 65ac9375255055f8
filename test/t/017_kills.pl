# Exactly once: whatever is killed, whenever, every push ends with what the topic's
# last writers wrote, and with nothing else.
#
# Each round pushes a version of three stores while their topics are written.  Of the
# $VENICE_KILLS (15) kills, two of three strike while records are written, the third
# after the end was requested: in the rest of the load, the build, or the swap.  Kinds,
# moments and records follow from $VENICE_SEED, which is printed; what runs at a moment
# of course does not.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use FindBin;
use JSON::PP;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(shuffle);
use Time::HiRes qw(time usleep);
use VeniceTest;
use Test::More;

my $kills = $ENV{VENICE_KILLS} || 15;
my $seed = $ENV{VENICE_SEED} || 1 + time % 1_000_000;
my $partitions = 4;
my $keys = 1500;
my $chunks = 4;
my $chunk = 900;

diag("VENICE_SEED=$seed VENICE_KILLS=$kills");

# Small batches, so that whatever dies does so between many commits; fewer workers than
# partitions, so that these are handed over.
my $node = venice_cluster('main', conf => <<'END');
venice.batch_rows = 40
venice.batch_delay = 5ms
venice.max_ingest_workers = 3
venice.swap_lock_timeout = 30s
restart_after_crash = on
log_min_messages = info
END
my $kafka = VeniceTest::Kafka->new;
my $bootstrap = $kafka->bootstrap;
my $key_schema = { type => 'record', name => 'k', fields => [ { name => 'id', type => 'int' } ] };
my $value_schema = { type => 'record', name => 'v',
	fields => [ { name => 'n', type => 'long' }, { name => 'note', type => [ 'null', 'string' ] } ] };

# Each store with its formats; "merged" has its keys in the values, and each in all partitions.
my %stores = (
	typed => { key => 'avro_key', value => 'avro_value' },
	plain => { key => 'text', value => 'json' },
	merged => { key => 'json', value => 'json' });

$kafka->format('avro_key', $key_schema);
$kafka->format('avro_value', $value_schema);
my ($key_text, $value_text) = map { JSON::PP->new->canonical->encode($_) } $key_schema, $value_schema;
$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('typed', '$key_text', '$value_text', 'k',
		'{"key_format": "avro", "value_format": "avro"}');
	SELECT venice.create_store('plain', 'id int', 'n bigint, note text', 'k', '{"key_format": "text", "value_format": "json"}');
	SELECT venice.create_store('merged', 'id int', 'n bigint, note text', 'k', '{"key_format": "value", "value_format": "json"}');
	-- Makes a build last long enough to be hit: one of our indexes is built anew for each version.
	CREATE FUNCTION slow(n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
		'BEGIN IF n % 100 = 0 THEN PERFORM pg_catalog.pg_sleep(0.1); END IF; RETURN n; END';
	CREATE INDEX ON merged.records (slow(n))});

srand($seed);

my $written = 0;

# A record of a store's topic, and what it does to the store's model: for each key and
# partition the last writer's timestamp and row.
sub make_record
{
	my ($store, $model) = @_;
	my $id = int(rand($keys));
	my $partition = $store eq 'merged' ? int(rand($partitions)) : $id % $partitions;
	my $timestamp = 1_700_000_000_000 + int(rand(1000));
	my $n = ++$written;
	my $deleted = rand() < 0.2;
	my $note = rand() < 0.1 ? undef : 'note' . rand();

	# Some are too long for a page.
	$note = join('', map { chr(97 + int(rand(26))) } 1 .. 9000) if rand() < 0.005;
	$model->{$id}[$partition] = {
		timestamp => $timestamp, partition => $partition,
		text => $deleted ? undef : sprintf('(%s,%s,%s)', $id, $n, $note // '') };
	return {
		key => $store eq 'plain' ? "$id" : { id => 0 + $id },
		value => $deleted ? undef : { n => 0 + $n, note => $note, $store eq 'merged' ? (id => 0 + $id) : () },
		partition => 0 + $partition, timestamp_ms => 0 + $timestamp };
}

# "count|md5" of the rows that a model amounts to: of the partitions' last words on a key
# the latest counts, of equally late ones the highest partition's.
sub model_digest
{
	my ($model) = @_;
	my @rows;

	for my $id (sort { $a <=> $b } keys %$model)
	{
		my ($last) = sort { $b->{timestamp} <=> $a->{timestamp} || $b->{partition} <=> $a->{partition} }
		  grep { defined } @{ $model->{$id} };

		push @rows, $last->{text} if defined $last->{text};
	}
	return scalar(@rows) . '|' . md5_hex(join("\n", @rows));
}

sub table_digest
{
	my ($store) = @_;
	return qq{SELECT count(*), md5(coalesce(string_agg(r::text, E'\\n' ORDER BY id), ''))
		FROM (SELECT id, n, note FROM $store.records) r};
}

sub wait_for_server { return wait_for_sql($node, 'SELECT 1', '1', 'the server answers again'); }

# The pid of a random process of a kind, as soon as there is one; undef if none comes.
sub some_pid
{
	my ($type) = @_;

	for (1 .. 100)
	{
		my (undef, $pids) = eval { $node->psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type ~ '^venice $type'") };
		my @pids = split /\n/, $pids // '';

		return $pids[ rand @pids ] if @pids;
		usleep(20_000);
	}
	return;
}

# Processes of ours that end without a word take the server with them.
sub kill_process
{
	my ($type) = @_;
	my $pid = some_pid($type) or return;

	kill 'KILL', $pid;
	usleep(10_000) while kill 0, $pid;
	return wait_for_server();
}

sub terminate_process
{
	my ($type) = @_;
	my $pid = some_pid($type) or return;

	return $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
}

my %disasters = (
	'SIGKILL of an ingest worker' => sub { kill_process('ingest'); },
	'SIGKILL of any process' => sub { kill_process(''); },
	'immediate stop' => sub { $node->stop('immediate'); $node->start; },
	'termination of an ingest worker' => sub { terminate_process('ingest'); },
	'termination of the supervisor' => sub { terminate_process('supervisor'); },
	'termination of the launcher' => sub { terminate_process('launcher'); },
	'termination of everything' => sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'"); },
	'broker kill' => sub { $kafka->kill; $kafka->start; });

sub end_pushes
{
	$node->safe_psql('postgres', "SELECT venice.end_push('$_')") for sort keys %stores;
	return;
}

# Waits until the version of "merged" is in a phase, then does something to it.
sub in_phase
{
	my ($phase, $disaster) = @_;

	wait_for_sql($node, "SELECT count(*) FROM venice.stat_progress_push WHERE store = 'merged' AND phase = '$phase'", '1', "a push is $phase");
	return $disaster->();
}

# Who reads the gate, as a dump does, makes a swap wait; the reader dies with the server.
sub in_swap
{
	my ($disaster) = @_;
	my $reader = $node->background_psql('postgres');
	my $gate = $node->safe_psql('postgres', "SELECT relname FROM pg_class WHERE relnamespace = 'merged'::regnamespace AND relname ~ '^swap_gate'");

	$reader->query_safe("BEGIN; LOCK TABLE merged.$gate IN ACCESS SHARE MODE");
	end_pushes();
	in_phase('swapping', $disaster);
	eval { $reader->quit };
	return;
}

my %late_disasters = (
	'SIGKILL of maintenance in a build' => sub { end_pushes(); in_phase('checking', sub { kill_process('maintenance') }); },
	'immediate stop in a build' => sub { end_pushes(); in_phase('checking', sub { $node->stop('immediate'); $node->start; }); },
	'termination of maintenance in a build' => sub { end_pushes(); in_phase('checking', sub { terminate_process('maintenance') }); },
	'immediate stop in a swap' => sub { in_swap(sub { $node->stop('immediate'); $node->start; }); },
	'SIGKILL of maintenance in a swap' => sub { in_swap(sub { kill_process('maintenance') }); },
	'termination of maintenance in a swap' => sub { in_swap(sub { terminate_process('maintenance') }); },
	'broker kill at the end' => sub { end_pushes(); $kafka->kill; $kafka->start; },
	'immediate stop at the end' => sub { end_pushes(); usleep(rand(1_500_000)); $node->stop('immediate'); $node->start; });

# All kinds come before any comes again.
sub deal
{
	my ($disasters) = @_;
	my @hand;

	return sub {
		@hand = shuffle(sort keys %$disasters) unless @hand;
		return pop @hand;
	};
}

my ($next, $next_late) = (deal(\%disasters), deal(\%late_disasters));
my %current = map { $_ => model_digest({}) } keys %stores;
my $killed = 0;

for (my $round = 1; $killed < $kills; $round++)
{
	my %models = map { $_ => {} } keys %stores;
	my %strikes = map { $_ => 1 } (shuffle(0 .. $chunks - 1))[ 0, 1 ];

	$kafka->topic("${_}_v$round", $partitions) for sort keys %stores;
	$node->safe_psql('postgres', "SELECT venice.start_push('$_')") for sort keys %stores;
	for my $part (0 .. $chunks - 1)
	{
		my $disaster = $strikes{$part} && $killed < $kills ? $next->() : undef;

		for my $store (sort keys %stores)
		{
			my @records = map { make_record($store, $models{$store}) } 1 .. $chunk;

			$kafka->begin('produce', topic => "${store}_v$round", records => \@records, %{ $stores{$store} });
			if ($disaster)
			{
				my $moment = rand(150_000);

				usleep($moment);
				note("round $round: $disaster");
				$disasters{$disaster}->();
				$killed++;
				undef $disaster;
			}
			$kafka->finish;
		}
	}
	is($node->safe_psql('postgres', table_digest($_)), $current{$_}, "round $round, $_: readers see the version before meanwhile")
	  for sort keys %stores;
	if ($killed < $kills)
	{
		my $disaster = $next_late->();

		note("round $round: $disaster");
		$late_disasters{$disaster}->();
		$killed++;
	}
	else
	{
		end_pushes();
	}
	for my $store (sort keys %stores)
	{
		wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$store' AND version = $round", 'current',
			"round $round, $store: the push ends", timeout_s => 120);
		$current{$store} = model_digest($models{$store});
		is($node->safe_psql('postgres', table_digest($store)), $current{$store},
			"round $round, $store: the current version is what the last writers wrote");
		is($node->safe_psql('postgres', qq{
			SELECT string_agg(kafka_offset || '/' || messages, ' ' ORDER BY partition),
				bool_and(state = 'caught_up' AND kafka_offset = end_offset AND lag = 0)
			FROM venice.stat_ingestion WHERE store = '$store' AND version = $round}),
			join(' ', map { "$_->[1]/$_->[1]" } @{ $kafka->offsets("${store}_v$round") }) . '|t',
			"round $round, $store: all partitions are at their ends, and every record was counted once");
	}
}
done_testing();
