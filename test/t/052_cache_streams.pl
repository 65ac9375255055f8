# Look-ups that memory answers are the table's while real-time topics write to it, versions catch up, join, are swapped and
# rolled back, and workers are ended.  VENICE_STRESS_S: for how many seconds; VENICE_SEED: of the records and the keys asked for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use Time::HiRes qw(time usleep);
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{VENICE_STRESS_S} // 20;
my $seed = $ENV{VENICE_SEED} || int(rand(1_000_000));
my $keys = 400;
my $node = venice_cluster('main', conf => "venice.cache_size = 2MB\nvenice.batch_rows = 50\n");
my $kafka = VeniceTest::Kafka->shared;
my $topic = unique_name('streamed');
my $bootstrap = $kafka->bootstrap;

note("seed $seed");
srand($seed);
$kafka->topic($topic, 3);
$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('s', 'id integer', 'v bigint, t text', NULL, '{"cache": true, "key_format": "text", "value_format": "json",
		"real_time_topics": [{"server": "k", "topic": "$topic"}]}');
	SELECT venice.push('s', \$\$SELECT g, 0, repeat(md5(g::text), 1 + g % 60) FROM generate_series(1, $keys) g\$\$);
	CALL venice.wait_for_push('s', timeout => '60 s')});
$node->safe_psql('postgres', q{
	-- The same look-ups, from the table.
	CREATE FUNCTION rows_of(integer[]) RETURNS text LANGUAGE sql STABLE AS
		'SELECT string_agg(r::text, chr(10)) FROM s.batch_get($1) r';
	CREATE FUNCTION rows_in_table(integer[]) RETURNS text LANGUAGE sql STABLE SET venice.read_cache = off AS
		'SELECT string_agg(r::text, chr(10)) FROM s.batch_get($1) r';
	CREATE FUNCTION packed_in_table(integer[]) RETURNS bytea LANGUAGE sql STABLE SET venice.read_cache = off AS
		'SELECT s.batch_get_packed($1)';
	CREATE FUNCTION row_in_table(integer) RETURNS text LANGUAGE sql STABLE SET venice.read_cache = off AS
		'SELECT r::text FROM s.get($1) r';

	-- What is stable runs under the snapshot of its caller.
	CREATE FUNCTION compare(keys integer[]) RETURNS void LANGUAGE plpgsql STABLE AS $$
	DECLARE
		memory text := rows_of(keys);
		truth text := rows_in_table(keys);
		one text := (SELECT r::text FROM s.get(keys[1]) r);
	BEGIN
		IF memory IS DISTINCT FROM truth THEN
			RAISE EXCEPTION 'DIFFERENCE for %: memory has %, the table %', keys, memory, truth;
		ELSIF s.batch_get_packed(keys) <> packed_in_table(keys) THEN
			RAISE EXCEPTION 'DIFFERENCE of packed rows for %', keys;
		ELSIF one IS DISTINCT FROM row_in_table(keys[1]) THEN
			RAISE EXCEPTION 'DIFFERENCE for %: memory has %', keys[1], one;
		END IF;
	END $$;
	CREATE FUNCTION try(query text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE query;
	EXCEPTION WHEN OTHERS THEN
		RAISE LOG 'tried: %', SQLERRM;
	END $$});

my %scripts = (
	'readers' => qq{
\\set id random(1, $keys)
SELECT compare(ARRAY(SELECT g FROM generate_series(:id, :id + 9) g));
},
	'readers of few rows' => q{
\set id random(1, 5)
SELECT compare(ARRAY[:id]);
},
	'readers of old snapshots' => qq{
\\set id random(1, 5)
\\set other random(1, $keys)
\\set pause random(0, 20)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pg_am;
\\sleep :pause ms
SELECT compare(ARRAY[:id, :other]);
\\sleep :pause ms
SELECT compare(ARRAY[:other, :id]);
COMMIT;
},
	'administrators' => qq{
\\set what random(1, 6)
\\set pause random(50, 300)
\\if :what <= 3
SELECT try('SELECT venice.push(''s'', ''SELECT g, 0, repeat(md5(g::text), 1 + g % 60) FROM generate_series(1, $keys) g'')');
\\elif :what = 4
SELECT try('SELECT venice.rollback_version(''s'')');
\\elif :what = 5
SELECT try('SELECT venice.repush(''s'')');
\\else
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'venice ingest worker';
\\endif
\\sleep :pause ms
});
my @runs;

foreach my $name (sort keys %scripts)
{
	my $file = $node->basedir . '/' . ($name =~ tr/a-z/_/cr) . '.sql';
	my ($out, $err) = ('', '');

	append_to_file($file, $scripts{$name});
	push @runs, {
		name => $name,
		out => \$out,
		err => \$err,
		run => IPC::Run::start(
			[ $node->installed_command('pgbench'), '-n', '-T', $seconds, '--max-tries=100', "--random-seed=$seed", '-c', $name eq 'administrators' ? 1 : 2,
				'-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ],
			'<', \undef, '>', \$out, '2>', \$err)
	};
}

# Half of the records are for the few rows that are read most.  There are not more than new versions catch up with.
my $written = 0;
my $end = time + $seconds;

while (time < $end)
{
	my @records = map {
		my $id = rand() < 0.5 ? 1 + int(rand(5)) : 1 + int(rand($keys));
		my $n = ++$written;
		+{ key => "$id", partition => $id % 3,
			value => rand() < 0.1 ? undef : { v => 0 + $n, rand() < 0.5 ? (t => "x$n" x int(rand(300))) : () },
			rand() < 0.5 ? () : (headers => { venice_operation => 'update' }) }
	} 1 .. 100;

	$kafka->produce($topic, \@records, key => 'text', value => 'json');
	usleep(30_000);
}
foreach my $run (@runs)
{
	$run->{run}->finish;
	unlike(${ $run->{err} }, qr/DIFFERENCE|aborted|FATAL/, "$run->{name}: every answer is the table's (seed $seed)") or diag(${ $run->{err} });
	my ($done) = ${ $run->{out} } =~ /transactions actually processed: (\d+)/;
	cmp_ok($done // 0, '>', $seconds, "$run->{name}: there were many") or diag(${ $run->{out} });
	note("$run->{name}: $done transactions");
}
wait_for_sql($node, q{SELECT bool_and(lag = 0 AND last_error IS NULL) FROM venice.stat_ingestion i JOIN venice.versions v USING (store, version)
	WHERE v.state IN ('current', 'backup', 'rolled_back')}, 't', 'all is read');
is($node->safe_psql('postgres', qq{SELECT count(compare(ARRAY[g])) FROM generate_series(1, $keys) g}), $keys, 'memory and table agree in the end');
is($node->safe_psql('postgres', q{SELECT hits > 0 AND misses > 0 FROM venice.stat_read WHERE store = 's'}), 't', 'memory answered');
note($written, ' records; ', $node->safe_psql('postgres', q{SELECT count(*) FROM venice.pushes WHERE state = 'completed'}), ' pushes');
done_testing();
