# However long it runs, and however often it is pushed to, nothing grows: no process, no
# catalog, no table of ours, no number of files, locks or slots.
#
# For $VENICE_SOAK_MINUTES (120) a version is pushed every 20 s, through SQL and Kafka by
# turns, while sessions read.  Every 10 s all that @limits names is measured.  What was
# measured after the warm-up, a third of the time and at least 4 minutes, until every store
# has as many versions as it keeps, is fitted by a line; a measure fails that grew along the
# line by more than its limit, and did so steadily.  The table at the end says how each went.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(max sum0);
use Time::HiRes qw(time usleep);
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $minutes = $ENV{VENICE_SOAK_MINUTES} || 120;
die 'in less than 6 minutes nothing can be said to grow' if $minutes < 6;

my $warm_up_s = max(20 * $minutes, 240);
my $push_interval_s = 20;
my $sample_interval_s = 10;

# How much of a line the measures must be for growth to be steady: the share of their
# variance that it explains.
my $steady = 0.5;

# By how much a measure may grow after the warm-up: a part of what it was at first, and
# something besides.  kB of memory are private and anonymous ones (RssAnon); the allocator
# keeps some megabytes that it has once had.
my @limits = (
	[ qr/ kB of memory$/ => 0.05, 2048 ],
	[ qr/ open files$/ => 0, 4 ],
	[ qr/^bytes of / => 0.05, 256 * 1024 ],
	[ qr/^number of / => 0.02, 4 ]);

my $node = venice_cluster('main', conf => <<'END');
venice.run_retention = 2min
autovacuum_naptime = 5s
log_statement = none
max_connections = 50
END
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;
my @sql_stores = qw(sql1 sql2);
my @kafka_stores = qw(kafka1 kafka2);
my $rows = 2000;

$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	CREATE ROLE reader});
for my $store (@sql_stores, @kafka_stores)
{
	my $server = $store =~ /^kafka/ ? qq('k', '{"key_format": "text", "value_format": "json", "versions_to_keep": 2}') : 'NULL';

	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', 'id int', 'n int, note text', $server);
		GRANT SELECT ON $store.records TO reader;
		CREATE INDEX ON $store.records (n)});
}
$node->safe_psql('postgres', 'CREATE VIEW report AS SELECT a.id, a.n, b.note FROM sql1.records a JOIN kafka1.records b USING (id)');

# A push that never ends keeps an ingest worker for all the time.
my $endless = unique_name('endless');
$kafka->topic($endless, 4);
$node->safe_psql('postgres', qq{
	SELECT venice.create_store('endless', 'id text', 'n int', 'k', '{"key_format": "text", "value_format": "json", "version_topic": "$endless"}');
	SELECT venice.start_push('endless')});

# Sessions that live as long as the test: one that we ask ourselves, and some of pgbench.
my $reader = VeniceTest::Process->new('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'));

# The one line that it answers.
sub ask_reader
{
	my ($query) = @_;

	$reader->write_line("$query;");
	return $reader->read_line;
}

my $reader_pid = ask_reader('SELECT pg_backend_pid()');
for my $store (@sql_stores, @kafka_stores)
{
	$reader->write_line("PREPARE get_$store AS SELECT n FROM $store.get(\$1);");
	$reader->write_line("PREPARE plain_$store AS SELECT count(*), min(n), max(n) FROM $store.records;");
}
my $script = PostgreSQL::Test::Utils::tempdir('soak') . '/read.sql';
append_to_file($script, "\\set id random(1, $rows)\n" . join('', map { "SELECT n FROM $_.get(:id);\nSELECT count(*) FROM $_.batch_get(ARRAY[:id, 1]);\n" }
	  @sql_stores, @kafka_stores) . "SELECT note FROM report WHERE id = :id;\n");
my $pgbench_log = "$script.log";
my $deadline = time + 60 * $minutes;
my $pgbench = fork // die 'fork';
if (!$pgbench)
{
	open STDOUT, '>', $pgbench_log;
	open STDERR, '>&', \*STDOUT;
	exec 'pgbench', '-n', '-c', 3, '-M', 'prepared', '-R', 30, '-T', 60 * $minutes, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres';
}

# Push number $n into a store: every row says $n.
my $topics = 0;

sub push_to
{
	my ($store, $n) = @_;

	return $node->safe_psql('postgres',
		"SELECT venice.push('$store', 'SELECT i, $n, repeat(''x'', i % 100) FROM generate_series(1, $rows) i')")
	  if $store =~ /^sql/;
	my $topic = sprintf '%s_%d', $endless, ++$topics;
	my @records = map { { key => "$_", value => { n => $n, note => 'x' x ($_ % 100) }, partition => $_ % 2 } } 1 .. $rows;
	# Some are written twice, some deleted and written again.
	unshift @records, map { { key => "$_", $_ % 2 ? (value => { n => 0 }) : (), partition => $_ % 2 } } 1 .. 200;

	$kafka->topic($topic, 2);
	$node->safe_psql('postgres', qq{SELECT venice.start_push('$store', options => '{"version_topic": "$topic"}')});
	$kafka->produce($topic, \@records, key => 'text', value => 'json');
	$node->safe_psql('postgres', "SELECT venice.end_push('$store')");
	wait_for_sql($node, "SELECT count(*) FROM venice.versions WHERE store = '$store' AND state NOT IN ('current', 'backup')", '0', "push $n ends", timeout_s => 120);
	$kafka->delete_topic($topic);
	return;
}

sub status_kb
{
	my ($pid) = @_;
	my $status = eval { slurp_file("/proc/$pid/status") } // '';

	return $status =~ /^RssAnon:\s*(\d+)/m ? $1 : undef;
}

sub open_files
{
	my ($pid) = @_;
	opendir(my $directory, "/proc/$pid/fd") or return;

	return scalar(() = readdir $directory);
}

# name => number, of now.
sub measure
{
	my %measured;
	my @processes = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', q{
		SELECT pid, backend_type FROM pg_stat_activity WHERE backend_type LIKE 'venice %' AND backend_type <> 'venice maintenance'});

	for ([ $reader_pid, 'a reading session' ], @processes)
	{
		my ($pid, $name) = @$_;
		my ($kb, $files) = (status_kb($pid), open_files($pid));

		# It may just have left.  Of several workers the largest counts.
		next unless defined $kb && defined $files;
		$measured{"$name: kB of memory"} = max($kb, $measured{"$name: kB of memory"} // 0);
		$measured{"$name: open files"} = max($files, $measured{"$name: open files"} // 0);
	}
	my $counted = $node->safe_psql('postgres', q{
		SELECT 'bytes of ' || c.oid::regclass || '=' || pg_total_relation_size(c.oid)
		  FROM pg_class c WHERE c.oid::regclass::text IN ('pg_class', 'pg_attribute', 'pg_depend', 'pg_shdepend', 'pg_namespace', 'pg_proc',
			'pg_statistic', 'pg_type', 'pg_index', 'pg_constraint', 'pg_description', 'pg_rewrite', 'pg_init_privs')
			OR c.relnamespace = 'venice'::regnamespace AND c.relkind = 'r'
		UNION ALL SELECT 'number of relations=' || count(*) FROM pg_class
		UNION ALL SELECT 'number of schemas=' || count(*) FROM pg_namespace
		UNION ALL SELECT 'number of functions=' || count(*) FROM pg_proc
		UNION ALL SELECT 'number of dependencies=' || count(*) / 10 FROM pg_depend
		UNION ALL SELECT 'number of locks of our processes=' || count(*) FROM pg_locks
			WHERE pid IN (SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'venice %')
		UNION ALL SELECT 'number of processes=' || count(*) FROM pg_stat_activity WHERE backend_type LIKE 'venice %'
		UNION ALL SELECT 'number of replication slots=' || count(*) FROM pg_replication_slots
		UNION ALL SELECT 'number of prepared transactions=' || count(*) FROM pg_prepared_xacts
		UNION ALL SELECT 'number of files in the database=' || count(*) / 10 FROM pg_ls_dir('base/' || (
			SELECT oid FROM pg_database WHERE datname = current_database()))});
	$measured{$1} = $2 while $counted =~ /^(.*)=(\d+)$/gm;
	return \%measured;
}

# Growth along the line through points [x, y], its first value, and how much of a line they are.
sub fit
{
	my (@points) = @_;
	my $n = @points;
	my ($mean_x, $mean_y) = (sum0(map { $_->[0] } @points) / $n, sum0(map { $_->[1] } @points) / $n);
	my $sxx = sum0(map { ($_->[0] - $mean_x)**2 } @points);
	my $syy = sum0(map { ($_->[1] - $mean_y)**2 } @points);
	my $sxy = sum0(map { ($_->[0] - $mean_x) * ($_->[1] - $mean_y) } @points);
	my $slope = $sxx ? $sxy / $sxx : 0;

	return ($slope * ($points[-1][0] - $points[0][0]), $mean_y + $slope * ($points[0][0] - $mean_x),
		$sxx && $syy ? $sxy**2 / ($sxx * $syy) : 0);
}

my $start = time;
my ($next_push, $next_sample, $pushes) = ($start, $start, 0);
my (%series, %pushed);
my @turns = map { ($sql_stores[$_], $kafka_stores[$_]) } 0 .. $#sql_stores;
my $wrong = 0;

while (time < $deadline)
{
	if (time >= $next_push)
	{
		my $store = $turns[ $pushes % @turns ];

		push_to($store, ++$pushes);
		$pushed{$store} = $pushes;
		$next_push += $push_interval_s;
	}
	for my $store (grep { $pushed{$_} } @turns)
	{
		# Each version holds one push and nothing else.
		my $is = ask_reader("EXECUTE plain_$store") . ' ' . ask_reader("EXECUTE get_$store(7)");
		my $want = "$rows|$pushed{$store}|$pushed{$store} $pushed{$store}";

		next if $is eq $want;
		diag("$store: $is, not $want");
		$wrong++;
	}
	if (time >= $next_sample)
	{
		my $measured = measure();

		push @{ $series{$_} }, [ time - $start, $measured->{$_} ] for keys %$measured;
		$next_sample += $sample_interval_s;
	}
	usleep(200_000);
}
is($wrong, 0, "$pushes pushes: a session that lives on always reads the newest, and the whole of it");
waitpid($pgbench, 0);
is($?, 0, 'no other session met an error') or diag(slurp_file($pgbench_log));

diag(sprintf '%-48s %12s %12s %12s %9s %6s', 'after the warm-up', 'first', 'last', 'growth', 'allowed', 'line');
for my $name (sort keys %series)
{
	my @points = grep { $_->[0] >= $warm_up_s } @{ $series{$name} };
	my ($limit) = grep { $name =~ $_->[0] } @limits;

	next if @points < 3;
	my ($growth, $first, $line) = fit(@points);
	my $allowed = max(0, $first) * $limit->[1] + $limit->[2];
	my $row = sprintf '%-48s %12d %12d %12.1f %9d %6.2f', $name, $points[0][1], $points[-1][1], $growth, $allowed, $line;

	diag($row);
	ok($growth <= $allowed || $line < $steady, "$name does not grow") or diag($row);
}
$reader->end;
done_testing();
