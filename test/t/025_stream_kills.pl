# Exactly once for what is written in real time: whatever is killed, pushed, rolled back or paused meanwhile, every complete
# version ends as the topics' records say, and no record was counted twice.
#
# Four stores: "counters" adds, so that a record that is written twice or not at all shows; "past" keeps a history, in which
# each record is once; "whole" and "parts" have two regions, and resolve by row and by field.  Of the $VENICE_KILLS (8)
# kills each strikes while records are written, in a push or not.  Kinds, moments and records follow from $VENICE_SEED, which
# is printed; what runs at a moment of course does not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(max shuffle sum0);
use Time::HiRes qw(time usleep);
use VeniceTest;
use Test::More;

my $kills = $ENV{VENICE_KILLS} || 8;
my $seed = $ENV{VENICE_SEED} || 1 + time % 1_000_000;
my $partitions = 3;
my $keys = 200;
my $chunk = 250;

diag("VENICE_SEED=$seed VENICE_KILLS=$kills");
srand($seed);

# Small batches, so that whatever dies does so between many commits; fewer workers than partitions.
my $node = venice_cluster('main', conf => <<'END');
venice.batch_rows = 40
venice.batch_delay = 5ms
venice.max_ingest_workers = 4
venice.swap_lock_timeout = 30s
restart_after_crash = on
log_min_messages = info
END
my $kafka = VeniceTest::Kafka->new;
my $bootstrap = $kafka->bootstrap;

# A push has a base row for each of the keys that the number of the push divides; the topics' records come on top.  The
# records that "counters" had first are older than its rewind: the first version alone has them.
my %stores = (
	counters => { topics => ['counters'], columns => 'n bigint, tags text[]', options => '"write_mode": "partial", "rewind": "1 hour"' },
	past => { topics => ['past'], columns => 'n bigint, note text', options => '"history": true, "server": "k"' },
	whole => { topics => [ 'whole_here', 'whole_there' ], columns => 'n bigint, note text', options => '"conflict_resolution": "row"' },
	parts => { topics => [ 'parts_here', 'parts_there' ], columns => 'n bigint, note text',
		options => '"conflict_resolution": "field", "write_mode": "partial"' });
my @names = sort keys %stores;

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");
for my $name (@names)
{
	my $store = $stores{$name};
	my $topics = join(', ', map { qq({"server": "k", "topic": "$_"}) } @{ $store->{topics} });
	my $server = $store->{options} =~ s/, "server": "k"// ? "'k'" : 'NULL';

	$kafka->topic($_, $partitions) for @{ $store->{topics} };
	$node->safe_psql('postgres', qq{SELECT venice.create_store('$name', 'id int', '$store->{columns}', $server,
		'{"key_format": "text", "value_format": "json", "versions_to_keep": 3, "real_time_topics": [$topics], $store->{options}}')});
	$store->{from_topic} = $server ne 'NULL';
	$store->{records} = [];
	$store->{versions} = {};
}

my $written = 0;
my $now_us = int(time) * 1_000_000 - 60_000_000;

# A record of a store, as the client wants it: {topic, record}; and as the model keeps it, in the store's records.
sub make_record
{
	my ($name) = @_;
	my $store = $stores{$name};
	my $id = 1 + int(rand($keys));
	my $region = int(rand(@{ $store->{topics} }));
	my $write = { id => $id, n => ++$written, time => $now_us + $written * 7919 % 1_000_003 };
	my %record = (key => "$id", partition => $id % $partitions);

	if (rand() < 0.15) { $write->{deleted} = 1; }
	elsif ($name eq 'counters') { $record{value} = { n => { '$add' => 0 + $write->{n} }, tags => { '$union' => [ 't' . $write->{n} % 5 ], '$diff' => [ 't' . $write->{n} % 7 ] } }; }
	elsif ($name eq 'parts')
	{
		$write->{fields} = [ ('n', 'note')[ rand 2 ], rand() < 0.3 ? ('n', 'note') : () ];
		$record{value} = { map { $_ => $_ eq 'n' ? 0 + $write->{n} : "x$write->{n}" } @{ $write->{fields} } };
	}
	else { $record{value} = { n => 0 + $write->{n}, note => "x$write->{n}" }; }
	$record{headers} = { venice_logical_time => "$write->{time}" } if @{ $store->{topics} } > 1;
	push @{ $store->{records} }, $write;
	return { topic => $store->{topics}[$region], record => \%record };
}

# What a push has, as SQL and as rows of the model.
sub base_keys { my ($number) = @_; return grep { $_ % $number == 0 } 1 .. $keys; }

sub base_query
{
	my ($name, $number) = @_;
	my $second = $stores{$name}{columns} =~ /tags/ ? q('{base}'::text[]) : q('base');
	return "SELECT g, 0, $second FROM generate_series(1, $keys) g WHERE g % $number = 0";
}

# Rows as text, from the rules: by arrival each record on what is there; by row and by field what is latest, the base before all.
sub model
{
	my ($name, $version) = @_;
	my $store = $stores{$name};
	my (%rows, %times);

	$rows{$_} = { n => 0, note => 'base', tags => ['base'] } for base_keys($version->{base});
	for my $write (@{ $store->{records} })
	{
		my $id = $write->{id};

		next if $write->{old} && !$version->{has_old};
		if ($name eq 'counters')
		{
			if ($write->{deleted}) { delete $rows{$id}; next; }
			my $row = $rows{$id} //= { n => 0, tags => [] };
			my ($add, $remove) = ('t' . $write->{n} % 5, 't' . $write->{n} % 7);

			$row->{n} += $write->{n};
			push @{ $row->{tags} }, $add unless grep { $_ eq $add } @{ $row->{tags} };
			$row->{tags} = [ grep { $_ ne $remove } @{ $row->{tags} } ];
		}
		elsif ($name eq 'past' || $name eq 'whole')
		{
			next if $name eq 'whole' && $write->{time} < ($times{$id} // 0);
			$times{$id} = $write->{time};
			if ($write->{deleted}) { delete $rows{$id}; }
			else { $rows{$id} = { n => $write->{n}, note => "x$write->{n}" }; }
		}
		else
		{
			my $row = $rows{$id} // {};
			my $changed = 0;
			my @fields = $write->{deleted} ? ('n', 'note') : @{ $write->{fields} };

			for my $field (@fields)
			{
				next if $write->{time} < ($times{$id}{$field} // 0);
				$times{$id}{$field} = $write->{time};
				$row->{$field} = $write->{deleted} ? undef : $field eq 'n' ? $write->{n} : "x$write->{n}";
				$changed++;
			}
			if (!$write->{deleted}) { $rows{$id} = $row if $changed; }
			elsif ($changed == 2) { delete $rows{$id}; }
		}
	}
	return join("\n", map {
		my $row = $rows{$_};
		join('|', $_, $row->{n} // '', $stores{$name}{columns} =~ /tags/ ? '{' . join(',', @{ $row->{tags} }) . '}' : $row->{note} // '')
	} sort { $a <=> $b } keys %rows);
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
	'fast restart' => sub { $node->stop('fast'); $node->start; },
	'termination of an ingest worker' => sub { terminate_process('ingest') for 1 .. 3; },
	'termination of the supervisor' => sub { terminate_process('supervisor'); },
	'termination of everything' => sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'"); },
	'broker kill' => sub { $kafka->kill; $kafka->start; });
my @hand;

# Write some records to all stores; something strikes meanwhile, if it is said what.
sub write_records
{
	my ($count, $disaster) = @_;
	my %by_topic;

	for my $name (@names)
	{
		for (1 .. $count)
		{
			my $made = make_record($name);

			push @{ $by_topic{ $made->{topic} } }, $made->{record};
		}
	}
	my @topics = shuffle(sort keys %by_topic);
	my $moment = $disaster ? int(rand(@topics)) : -1;

	for my $i (0 .. $#topics)
	{
		$kafka->begin('produce', topic => $topics[$i], records => $by_topic{ $topics[$i] }, key => 'text', value => 'json');
		if ($i == $moment)
		{
			usleep(rand(150_000));
			note("disaster: $disaster");
			$disasters{$disaster}->();
		}
		$kafka->finish;
	}
	return;
}

# Only asked for: it becomes current when it has caught up.
sub begin_push
{
	my ($name, $number) = @_;
	my $store = $stores{$name};
	my $is_repush = !$store->{from_topic} && rand() < 0.3 && %{ $store->{versions} };
	my $parent;

	if ($store->{from_topic})
	{
		$kafka->topic("${name}_v$number", $partitions);
		$kafka->produce("${name}_v$number", [ map { +{ key => "$_", value => { n => 0, note => 'base' }, partition => $_ % $partitions } } base_keys($number) ],
			key => 'text', value => 'json');
		$node->safe_psql('postgres', "SELECT venice.start_push('$name'); SELECT venice.end_push('$name')");
	}
	elsif ($is_repush)
	{
		$parent = $node->safe_psql('postgres', "SELECT version FROM venice.versions WHERE store = '$name' AND state = 'current'");
		$node->safe_psql('postgres', "SELECT venice.repush('$name', 'SELECT * FROM current')");
	}
	else
	{
		$node->safe_psql('postgres', sprintf(q{SELECT venice.push('%s', $q$%s$q$)}, $name, base_query($name, $number)));
	}
	$store->{versions}{$number} = $is_repush ? { %{ $store->{versions}{$parent} }, is_copy => 1 } : { base => $number, has_old => $number == 1 };
	return;
}

sub wait_for_push
{
	my ($name, $number) = @_;
	return wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = '$name' AND version = $number", qr/^(?:current|backup|rolled_back)$/,
		"$name: push $number ends", timeout_s => 120);
}

begin_push($_, 1) for @names;
wait_for_push($_, 1) for @names;

# Of two hours ago.
{
	my @records = map { my $made = make_record('counters'); $stores{counters}{records}[-1]{old} = 1; +{ %{ $made->{record} }, timestamp_ms => 1000 * int(time - 7200) } } 1 .. 100;

	$kafka->produce('counters', \@records, key => 'text', value => 'json');
	wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'counters'", '100', 'old records are written');
}

my $number = 1;
my $killed = 0;

while ($killed < $kills)
{
	$number++;
	write_records(int($chunk / 2));
	@hand = shuffle(sort keys %disasters) if @hand < 2;
	my $is_paused = rand() < 0.3;

	begin_push($_, $number) for @names;
	$node->safe_psql('postgres', 'SELECT venice.pause_ingestion()') if $is_paused;
	write_records($chunk, $killed++ < $kills ? pop @hand : undef);
	$node->safe_psql('postgres', 'SELECT venice.resume_ingestion()') if $is_paused;
	write_records($chunk, $killed++ < $kills ? pop @hand : undef) if rand() < 0.7;
	wait_for_push($_, $number) for @names;
	if (rand() < 0.4)
	{
		$node->safe_psql('postgres', "SELECT venice.rollback_version('$_')") for @names;
		note('rolled back');
	}
}

# Everything that was written is in all versions that there are.
for my $name (@names)
{
	my $store = $stores{$name};
	my $high = sum0(map { $_->[1] } map { @{ $kafka->offsets($_) } } @{ $store->{topics} });
	my $of_topics = 'topic IN (' . join(', ', map { "'$_'" } @{ $store->{topics} }) . ')';
	my $versions = "SELECT version FROM venice.versions WHERE store = '$name' AND state IN ('current', 'backup', 'rolled_back') AND version > 0";

	is($high, scalar @{ $store->{records} }, "$name: the topics have the records");
	wait_for_sql($node, "SELECT DISTINCT sum(kafka_offset) || ' ' || bool_and(lag = 0 AND last_error IS NULL) FROM venice.stat_ingestion
		WHERE store = '$name' AND version IN ($versions) AND $of_topics GROUP BY version", "$high true", "$name: all is read", timeout_s => 120);
	for my $version (split /\n/, $node->safe_psql('postgres', "$versions ORDER BY version"))
	{
		my $schema = $node->safe_psql('postgres', "SELECT CASE state WHEN 'current' THEN store ELSE store || '_v' || version END FROM venice.versions WHERE store = '$name' AND version = $version");
		my $model = model($name, $store->{versions}{$version});
		my $columns = $store->{columns} =~ /tags/ ? 'n, tags' : 'n, note';

		is($node->safe_psql('postgres', "SELECT id, $columns FROM $schema.records ORDER BY id"), $model, "$name: version $version is what the records say");
		next if $store->{versions}{$version}{is_copy};
		is($node->safe_psql('postgres', "SELECT sum(messages), sum(rejected) FROM venice.stat_ingestion WHERE store = '$name' AND version = $version AND $of_topics"),
			($name eq 'counters' && $version > 1 ? $high - 100 : $high) . '|0', "$name: each record was counted once in version $version");
	}
}

# Each write to "past" is in its history once; what else is there are rows that a swap has changed, which the base has.
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT n), min(n) > 0 FROM past_history.rows WHERE n > 0 AND arrival IN
	(SELECT min(arrival) FROM past_history.rows GROUP BY n)"),
	join('|', (scalar grep { !$_->{deleted} } @{ $stores{past}{records} }) x 2, 't'), 'the history has each put');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT n FROM past_history.rows WHERE n > 0 GROUP BY n HAVING count(*) > 1) twice}), '0', 'and none twice');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT id, n, note FROM past.records) r FULL JOIN
		(SELECT * FROM (SELECT DISTINCT ON (id) id, n, note, _deleted FROM past_history.rows ORDER BY id, arrival DESC) l WHERE NOT _deleted) h USING (id)
	WHERE (r.n, r.note) IS DISTINCT FROM (h.n, h.note)}), '0', 'its newest row of each key is what the store has');
done_testing();
