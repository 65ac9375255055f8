# Each committed write is in the topic once, and those of a key in their order, whoever dies.
#
# Writers put rows and note what they have committed in a table, in the same transactions:
# some roll back, some commit late, past others with later positions.  Meanwhile workers, the
# supervisor, the server and the broker are killed $VENICE_KILLS (12) times.  Kinds and moments follow
# from $VENICE_SEED, which is printed; what runs at a moment of course does not.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use JSON::PP;
use lib "$FindBin::RealBin/../lib";
use Time::HiRes qw(time usleep);
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $kills = $ENV{VENICE_KILLS} || 12;
my $seed = $ENV{VENICE_SEED} || 1 + time % 1_000_000;
my $writers = 4;

diag("VENICE_SEED=$seed VENICE_KILLS=$kills");
srand($seed);

# Small batches, so that whatever dies does so between many of them.
my $node = venice_cluster('main', conf => <<'END');
venice.batch_rows = 20
restart_after_crash = on
END
my $kafka = VeniceTest::Kafka->new;
my $topic = 'outbox_kills';

$kafka->topic($topic, 3);
$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '${\$kafka->bootstrap}');
	SELECT venice.create_store('s', 'id text', 'n bigint', options => '{"key_format": "text", "value_format": "json", "real_time_topics": [{"server": "k", "topic": "$topic"}]}');
	CREATE SEQUENCE numbers;
	CREATE TABLE written (id text, n bigint PRIMARY KEY);
	CREATE PROCEDURE write(writer int) LANGUAGE plpgsql AS \$\$
	DECLARE
		key text;
		number bigint;
	BEGIN
		LOOP
			FOR i IN 1 .. 1 + random() * 8 LOOP
				-- Keys of its own, whose order is known, and one that all write to.
				key := CASE WHEN random() < 0.1 THEN 'hot' ELSE format('%s-%s', writer, floor(random() * 5)) END;
				number := nextval('numbers');
				IF random() < 0.1 THEN
					PERFORM s.delete(key || '-never');
				END IF;
				PERFORM s.put(key, number);
				INSERT INTO written VALUES (key, number);
			END LOOP;
			IF random() < 0.1 THEN PERFORM pg_sleep(random() * 0.3); END IF;
			IF random() < 0.2 THEN ROLLBACK; ELSE COMMIT; END IF;
			PERFORM pg_sleep(0.005);
		END LOOP;
	END \$\$;
	SELECT venice.push('s', 'SELECT ''none'', 0::bigint WHERE false')});
$node->safe_psql('postgres', "CALL venice.wait_for_push('s', timeout => '60 s')");

# Writers die with the server, and are begun again.
my @running;

sub write_on
{
	$_->finish for grep { !$_->pumpable } @running;
	@running = grep { $_->pumpable } @running;
	my %busy = map { $_->{venice_writer} => 1 } @running;

	for my $writer (grep { !$busy{$_} } 1 .. $writers)
	{
		my ($in, $out) = ('', '');
		my $run = IPC::Run::start([ 'psql', '-Xq', '-c', "CALL write($writer)", $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$out);

		$run->{venice_writer} = $writer;
		push @running, $run;
	}
	return;
}

# What runs of a kind; nobody may, just now.
sub pids
{
	my ($kind) = @_;
	my (undef, $pids) = $node->psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$kind'");

	return split /\n/, $pids // '';
}

my %strikes = (
	worker => sub { kill KILL => pids('venice ingest worker') },
	worker_ends => sub { kill TERM => pids('venice ingest worker') },
	supervisor => sub { kill KILL => pids('venice supervisor') },
	server => sub { $node->stop('immediate'); $node->start },
	server_ends => sub { $node->stop('fast'); $node->start },
	broker => sub { $kafka->kill; usleep(rand(1_000_000)); $kafka->start });
my @kinds = sort keys %strikes;
my %struck;

is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'venice supervisor'"), '1', 'kinds of processes have their names');
for my $kill (1 .. $kills)
{
	my $kind = $kinds[ $kill <= @kinds ? $kill - 1 : rand @kinds ];
	my $before = $node->safe_psql('postgres', "SELECT produced FROM venice.stat_outbox WHERE store = 's'") || 0;

	write_on();

	# Not before it has gone on since the last one.
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM venice.stat_outbox WHERE store = 's' AND produced > $before")
	  or die 'nothing is produced';
	usleep(rand(400_000));
	note(sprintf('%2d: %s', $kill, $kind));
	$strikes{$kind}->();
	$struck{$kind}++;
	$node->poll_query_until('postgres', 'SELECT true') or die 'no server';
}
$_->kill_kill for @running;
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ \'^CALL write\'');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_activity WHERE query ~ \'^CALL write\'');
wait_for_sql($node, "SELECT pending FROM venice.stat_outbox WHERE store = 's'", '0', 'all is produced in the end', timeout_s => 120)
  or diag($node->safe_psql('postgres', 'TABLE venice.stat_outbox'));
is(scalar(keys %struck), scalar(@kinds), 'each kind of death was died');

my %produced;

for my $record (@{ $kafka->consume($topic) })
{
	push @{ $produced{pack('H*', $record->{key})} }, decode_json(pack('H*', $record->{value}))->{n} if defined $record->{value};
}
my %written;

for my $line (split /\n/, $node->safe_psql('postgres', 'SELECT id, n FROM written ORDER BY n'))
{
	my ($id, $n) = split /\|/, $line;
	push @{ $written{$id} }, $n;
}
cmp_ok(scalar(keys %written), '>', 5 * ($writers - 1), 'there was much to write');
my $hot = delete $produced{hot};

is_deeply([ sort { $a <=> $b } @$hot ], delete $written{hot}, 'each committed write of a key of many once, nothing else');
is_deeply(\%produced, \%written, 'each committed write of a key of one once, in its order, nothing else');
wait_for_sql($node, q{SELECT count(*), count(*) FILTER (WHERE r.n <> w.n OR w.n IS NULL) FROM s.records r
	LEFT JOIN (SELECT id, max(n) AS n FROM written GROUP BY id) w ON w.id = r.id WHERE r.id <> 'hot'},
	scalar(keys %written) . '|0', 'and the store has the last of each');
done_testing();
