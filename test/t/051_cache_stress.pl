# Look-ups that memory answers are compared, each with what the index says under the same snapshot, while everything that
# can change a row goes on: writers, with triggers and without, in SQL and by put, savepoints, roll-backs, swaps, TRUNCATE,
# rewrites, switched triggers, other keys.
# VENICE_STRESS_S: for how many seconds; VENICE_SEED: to have the same run again, as far as processes allow.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{VENICE_STRESS_S} // 30;
my $seed = $ENV{VENICE_SEED} || int(rand(1_000_000));
my $node = venice_cluster('main', conf => "venice.cache_size = 2MB\nsynchronous_commit = off\ndeadlock_timeout = 100ms\n");

note("seed $seed");
$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	SELECT venice.create_store('s', 'id integer', 'v bigint, t text', options => '{"cache": true}');
	SELECT venice.push('s', $$SELECT g, 0, repeat(md5(g::text), 1 + g % 160) FROM generate_series(1, 1000) g$$);

	-- The same look-ups, from the index.
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
	BEGIN
		IF memory IS DISTINCT FROM truth THEN
			RAISE EXCEPTION 'DIFFERENCE for %: memory has %, the table %', keys, memory, truth;
		END IF;
		IF s.batch_get_packed(keys) <> packed_in_table(keys) THEN
			RAISE EXCEPTION 'DIFFERENCE of packed rows for %', keys;
		END IF;
		memory := (SELECT r::text FROM s.get(keys[1]) r);
		truth := row_in_table(keys[1]);
		IF memory IS DISTINCT FROM truth OR s.get_packed(keys[1]) IS DISTINCT FROM
				(CASE WHEN truth IS NOT NULL THEN packed_in_table(keys[1:1]) END) THEN
			RAISE EXCEPTION 'DIFFERENCE for %: memory has %, the table %', keys[1], memory, truth;
		END IF;
	END $$;

	-- One that is refused, for a key that is there, a deadlock or a lock, is rolled back like any subtransaction.
	CREATE FUNCTION try(query text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE query;
	EXCEPTION WHEN OTHERS THEN
		RAISE LOG 'tried: %', SQLERRM;
	END $$;

	-- A writer takes his time between saying that he will write and writing: with every version, as triggers follow.
	CREATE FUNCTION hesitate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(random() * 0.004);
		RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
	END $$;
	CREATE TRIGGER zz_hesitate BEFORE UPDATE OR DELETE ON s.records FOR EACH ROW WHEN (OLD.id <= 20) EXECUTE FUNCTION hesitate()});

my %scripts = (
	'readers' => q{
\set id random(1, 990)
SELECT compare(ARRAY(SELECT g FROM generate_series(:id, :id + 9) g));
},
	'readers of few rows' => q{
\set id random(1, 20)
SELECT compare(ARRAY[:id]);
},
	'readers of old snapshots' => q{
\set id random(1, 20)
\set other random(1, 1000)
\set pause random(0, 20)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pg_am;
\sleep :pause ms
SELECT compare(ARRAY[:id, :other]);
\sleep :pause ms
SELECT compare(ARRAY[:other, :id]);
COMMIT;
},
	'writers who read' => q{
\set id random(1, 20)
\set other random(1, 1000)
\set end random(1, 3)
\set pause random(0, 40)
\sleep :pause ms
BEGIN;
SELECT try('UPDATE s.records SET v = v + 1 WHERE id = :id');
SELECT compare(ARRAY[:id, :other]);
SAVEPOINT a;
SELECT try('DELETE FROM s.records WHERE id = :other');
SELECT compare(ARRAY[:other, :id]);
\if :end = 1
ROLLBACK TO a;
\endif
SELECT try('INSERT INTO s.records VALUES (:other, 1, md5(random()::text)) ON CONFLICT (id) DO UPDATE SET v = records.v + 1');
SELECT compare(ARRAY[:other, :id]);
\if :end = 2
ROLLBACK;
\else
COMMIT;
\endif
},
	'writers' => q{
\set id random(1, 20)
\set other random(1, 1000)
\set new random(1001, 1100)
\set end random(1, 4)
\set pause random(0, 40)
\sleep :pause ms
BEGIN;
SELECT try('UPDATE s.records SET v = v + 1 WHERE id BETWEEN :other AND :other + 5');
SELECT try('UPDATE s.records SET id = :new WHERE id = :id');
SAVEPOINT a;
SELECT try('UPDATE s.records SET v = v + 1, t = md5(random()::text) WHERE id = :id');
\if :end = 1
ROLLBACK TO a;
\endif
SELECT try('INSERT INTO s.records VALUES (:id, 0, NULL)');
\if :end = 2
ROLLBACK;
\else
COMMIT;
\endif
},
	'writers by put' => q{
\set id random(1, 20)
\set other random(1, 970)
\set end random(1, 3)
\set pause random(0, 40)
\sleep :pause ms
BEGIN;
SELECT try('SELECT s.put(:id, :other, md5(random()::text))');
SELECT compare(ARRAY[:id, :other]);
SELECT try('SELECT venice.incremental_push(''s'', ''SELECT g % 1000 + 1, :id, md5(g::text) FROM generate_series(:other, :other + 30) g'')');
SELECT compare(ARRAY[:other, :id]);
SELECT try('SELECT s.delete(:id)');
\if :end = 1
ROLLBACK;
\else
COMMIT;
\endif
},
	'administrators' => q{
\set what random(1, 14)
\set id random(1, 20)
\set pause random(1, 100)
\if :what <= 3
SELECT try('SELECT venice.push(''s'', ''SELECT g, :id, repeat(md5(g::text), 1 + g % 160) FROM generate_series(1, 1000) g'')');
\elif :what = 4
SELECT try('SELECT venice.rollback_version(''s'')');
\elif :what = 5
SELECT try('TRUNCATE s.records; INSERT INTO s.records SELECT g, :id, repeat(md5(g::text), g % 160) FROM generate_series(1, 1000) g');
\elif :what = 6
SELECT try('TRUNCATE s.records');
SELECT try('INSERT INTO s.records SELECT g, :id, repeat(md5(g::text), g % 160) FROM generate_series(1, 1000) g ON CONFLICT DO NOTHING');
\elif :what = 7
SELECT try('ALTER TABLE s.records DISABLE TRIGGER venice_forget; UPDATE s.records SET v = v + 1 WHERE id <= 20; ALTER TABLE s.records ENABLE ALWAYS TRIGGER venice_forget');
\elif :what = 8
SELECT try('ALTER TABLE s.records DISABLE TRIGGER venice_forget');
SELECT try('UPDATE s.records SET v = v + 1 WHERE id <= 20');
\sleep :pause ms
SELECT try('ALTER TABLE s.records ENABLE ALWAYS TRIGGER venice_forget');
\elif :what = 9
SELECT try('ALTER TABLE s.records DROP CONSTRAINT records_pkey; UPDATE s.records SET v = v + 1 WHERE id <= 20; ALTER TABLE s.records ADD PRIMARY KEY (id)');
\elif :what = 10
SELECT try('CLUSTER s.records USING records_pkey');
\elif :what = 11
SELECT try('SELECT venice.warm(''s'')');
\elif :what = 12
SELECT try('DROP TRIGGER zz_hesitate ON s.records');
\elif :what = 13
SELECT try('CREATE TRIGGER zz_hesitate BEFORE UPDATE OR DELETE ON s.records FOR EACH ROW WHEN (OLD.id <= 20) EXECUTE FUNCTION hesitate()');
\else
SELECT try('UPDATE s.records SET v = v + 1');
\endif
\sleep :pause ms
});
my @runs;

# A few of each; a version that was dropped under an old snapshot, and a deadlock, are tried again.
foreach my $name (sort keys %scripts)
{
	my $file = $node->basedir . '/' . ($name =~ tr/a-z/_/cr) . '.sql';
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '-c venice.allow_direct_dml=on -c client_min_messages=error -c lock_timeout=2s';

	append_to_file($file, $scripts{$name});
	push @runs, {
		name => $name,
		out => \$out,
		err => \$err,
		run => IPC::Run::start(
			[ $node->installed_command('pgbench'), '-n', '-T', $seconds, '--max-tries=100', "--random-seed=$seed",
				'-c', $name =~ /^(?:administrators|writers who read)$/ ? 1 : 2, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ],
			'<', \undef, '>', \$out, '2>', \$err)
	};
}
foreach my $run (@runs)
{
	$run->{run}->finish;
	unlike(${ $run->{err} }, qr/DIFFERENCE|aborted|FATAL/, "$run->{name}: every answer is the table's (seed $seed)") or diag(${ $run->{err} });
	my ($done) = ${ $run->{out} } =~ /transactions actually processed: (\d+)/;
	cmp_ok($done // 0, '>', $seconds, "$run->{name}: there were many") or diag(${ $run->{out} });
	note("$run->{name}: $done transactions");
}
is($node->safe_psql('postgres', q{SELECT hits > 0 AND misses > 0 AND evictions > 0 AND hits + misses <= keys FROM venice.stat_read WHERE store = 's'}),
	't', 'memory answered, and was too small');

# A row that is copied while its place is given to another one is not half the other.  Not all of these fit; each is one
# letter all over.
$node->safe_psql('postgres', q{
	SELECT venice.create_store('long', 'id integer', 'v bytea', options => '{"cache": true}');
	SELECT venice.push('long', $$SELECT g, convert_to(repeat(chr(64 + g), 28000), 'UTF8') FROM generate_series(1, 42) g$$);
	CREATE FUNCTION torn(bytea, first integer) RETURNS boolean LANGUAGE sql AS
		'SELECT substr($1, $2, 14000) <> substr($1, $2 + 14000, 14000)';
});
my $readers = $node->basedir . '/torn.sql';
append_to_file($readers, q{
SELECT 1 / (1 - count(*)::integer)
FROM (SELECT 1 + floor(random() * 42)::integer AS key FROM generate_series(1, 200)) AS k
WHERE torn(long.get_packed(key), 26) OR torn((SELECT v FROM long.get(key)), 1);
});
$node->command_ok(
	[ 'pgbench', '-n', '-T', int($seconds / 3), '-c', 4, '-f', $readers, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'no row is half another one');
is($node->safe_psql('postgres', q{SELECT hits > misses AND misses > 0 AND evictions > 0 FROM venice.stat_read WHERE store = 'long'}),
	't', 'though they came and went');

# Nor is a sum of half one vector and half another one: all elements of vector g are g, and whole numbers are added exactly.
$node->safe_psql('postgres', q{
	SELECT venice.create_store('vectors', 'id integer', 'e real[]', options => '{"cache": true}');
	SELECT venice.push('vectors', $$SELECT g, array_fill(g::real, ARRAY[6000]) FROM generate_series(1, 64) g$$);
});
$readers = $node->basedir . '/sums.sql';
append_to_file($readers, q{
SELECT 1 / (1 - count(*)::integer)
FROM vectors.compute('dot_product', 'e', array_fill(1::real, ARRAY[6000]), ARRAY(SELECT 1 + floor(random() * 64)::integer FROM generate_series(1, 200)))
WHERE result <> 6000 * id;
});
$node->command_ok(
	[ 'pgbench', '-n', '-T', int($seconds / 3), '-c', 4, '-f', $readers, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'no sum is of half a vector');
is($node->safe_psql('postgres', q{SELECT hits > misses AND misses > 0 AND evictions > 0 FROM venice.stat_read WHERE store = 'vectors'}),
	't', 'though they came and went, too');
note($node->safe_psql('postgres', 'TABLE venice.stat_read'));

done_testing();
