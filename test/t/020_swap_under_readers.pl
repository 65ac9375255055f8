# Swaps, roll-backs and retirement while readers read: no reader errs, waits, sees two versions at once, or one that is
# not current any more.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $swaps = 200;
my $node = venice_cluster('main');

$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN;
	SELECT venice.create_store('s', 'id integer', 'v integer');
	SELECT venice.push('s', 'SELECT g, 1 FROM generate_series(1, 1000) g');
	GRANT USAGE ON SCHEMA s TO reader;
	GRANT SELECT ON s.records TO reader;
	CREATE FUNCTION read_in_plpgsql(integer) RETURNS integer LANGUAGE plpgsql STABLE AS
		'BEGIN RETURN (SELECT v FROM s.get($1)); END'});

# A division by zero is how a script tells pgbench that an answer was wrong.
my %scripts = (
	'a get has one row' => q{
\set id random(1, 1000)
SELECT 1 / count(*) FROM s.get(:id);
},
	'a batch is of one version' => q{
\set id random(1, 900)
SELECT 1 / (count(*) = 100 AND count(DISTINCT v) = 1)::int FROM s.batch_get((SELECT array_agg(g) FROM generate_series(:id, :id + 99) g));
},
	'two look-ups of one statement agree' => q{
\set id random(1, 1000)
SELECT 1 / (a.v = b.v)::int FROM s.get(:id) a, s.get(1) b;
},
	'a transaction in REPEATABLE READ stays with its version' => q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT v AS first FROM s.get(1) \gset
SELECT 1 / (v = :first)::int FROM s.get(2);
COMMIT;
},
	'PL/pgSQL follows' => q{
SELECT 1 / (read_in_plpgsql(1) IS NOT NULL)::int;
},
	'plain SQL meets a table' => q{
\set id random(1, 1000)
SELECT 1 / count(*) FROM s.records WHERE id = :id;
});

my @readers;

foreach my $name (sort keys %scripts)
{
	my $file = $node->basedir . '/' . ($name =~ tr/a-zA-Z/_/cr) . '.sql';
	my ($out, $err) = ('', '');

	append_to_file($file, $scripts{$name});
	push @readers, {
		name => $name,
		err => \$err,
		out => \$out,
		run => IPC::Run::start(
			[ $node->installed_command('pgbench'), '-n', '-M', 'prepared', '-T', 3600, '-f', $file, '-U', 'reader', '-h', $node->host, '-p', $node->port, 'postgres' ],
			'<', \undef, '>', \$out, '2>', \$err)
	};
}
wait_for_sql($node, q{SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE usename = 'reader'}, scalar @readers, 'all readers read');

foreach my $n (2 .. $swaps)
{
	$node->safe_psql('postgres', $n % 20 == 0
		? "SELECT venice.rollback_version('s')"
		: "SELECT venice.push('s', 'SELECT g, $n FROM generate_series(1, 1000) g')");
}
ok($_->{run}->pumpable, "$_->{name}: still reading") foreach @readers;

foreach my $reader (@readers)
{
	$reader->{run}->signal('INT');
	$reader->{run}->finish;
	unlike(${ $reader->{err} }, qr/ERROR|aborted/, "$reader->{name}: no error in $swaps swaps");
}

# What was displaced is dropped when nobody can reach it: the current version and one backup stay.
wait_for_sql($node, q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '^s(_v\d+)?$'}, '2', 'retirement catches up');
is($node->safe_psql('postgres', q{SELECT swaps FROM venice.stat_store WHERE store = 's'}), $swaps, 'every swap was counted');

# Many swaps, back and forth between two versions, while eight readers read through prepared statements, functions and
# PL/pgSQL.  "begun" and "ended" count the swaps: where no swap was on its way from before a look-up until after it, the
# look-up answers from the version that the last one has made current, and from no other.
my $flips = $ENV{VENICE_STRESS_SWAPS} // 3000;
my $pgbench = $node->installed_command('pgbench');
my $last_swap = 'SELECT b.last_value AS begun, e.last_value AS ended FROM begun b, ended e';
my $check = q{
SELECT last_value AS begun_after FROM begun \gset
\if :begun = :ended and :begun = :begun_after
SELECT 1 / (:least = (:ended - 1) % 2 AND :greatest = :least)::int;
\endif
};
my %exact = (
	get => 'SELECT v AS least, v AS greatest FROM flips.get(:id)',
	batch => 'SELECT min(v) AS least, max(v) AS greatest FROM flips.batch_get((SELECT array_agg(g) FROM generate_series(:id, :id + 9) g))',
	twice => 'SELECT least(a.v, b.v) AS least, greatest(a.v, b.v) AS greatest FROM flips.get(:id) a, flips.batch_get(ARRAY[1, :id]) b ORDER BY b.id LIMIT 1',
	plpgsql => 'SELECT read_flips(:id) AS least, read_flips(1) AS greatest');

$node->safe_psql('postgres', q{
	SELECT venice.create_store('flips', 'id integer', 'v integer');
	SELECT venice.push('flips', 'SELECT g, 1 FROM generate_series(1, 100) g');
	SELECT venice.push('flips', 'SELECT g, 0 FROM generate_series(1, 100) g');
	CREATE INDEX ON flips.records (v);
	GRANT USAGE ON SCHEMA flips TO reader;
	GRANT SELECT ON flips.records TO reader;
	CREATE FUNCTION read_flips(integer) RETURNS integer LANGUAGE plpgsql STABLE AS
		'BEGIN RETURN (SELECT v FROM flips.get($1)); END';
	CREATE SEQUENCE begun;
	CREATE SEQUENCE ended;
	SELECT nextval('begun'), nextval('ended');
	GRANT SELECT ON begun, ended TO reader});

@readers = ();
foreach my $name (sort keys %exact)
{
	my $file = $node->basedir . "/exact_$name.sql";
	my ($out, $err) = ('', '');

	append_to_file($file, "\\set id random(1, 90)\n$last_swap \\gset\n$exact{$name} \\gset$check");
	push @readers, {
		name => $name,
		err => \$err,
		out => \$out,
		run => IPC::Run::start(
			[ $pgbench, '-n', '-M', 'prepared', '-c', 2, '-T', 36000, '-f', $file, '-U', 'reader', '-h', $node->host, '-p', $node->port, 'postgres' ],
			'<', \undef, '>', \$out, '2>', \$err)
	};
}
wait_for_sql($node, q{SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE usename = 'reader'}, 8, 'eight readers read');
my $catalogs = q{SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'};
my $before = $node->safe_psql('postgres', $catalogs);
my $start = time;
my $swap_script = $node->basedir . '/swaps.sql';

append_to_file($swap_script, join('', map { "SELECT nextval('begun');\nSELECT venice.swap_version('flips', $_);\nSELECT nextval('ended');\n\\sleep 3 ms\n" } 1, 2));
my ($swap_out, $swap_err) = ('', '');
ok(IPC::Run::run([ $pgbench, '-n', '-t', int($flips / 2), '-f', $swap_script, '-U', 'postgres', '-h', $node->host, '-p', $node->port, 'postgres' ],
		'<', \undef, '>', \$swap_out, '2>', \$swap_err), "$flips swaps") or diag($swap_err);
note(sprintf('%d swaps in %d s; the catalogs took %s before and take %s after', $flips, time - $start, $before, $node->safe_psql('postgres', $catalogs)));
ok($_->{run}->pumpable, "$_->{name}: still reading") foreach @readers;
foreach my $reader (@readers)
{
	$reader->{run}->signal('INT');
	$reader->{run}->finish;
	unlike(${ $reader->{err} }, qr/ERROR|error|aborted/, "$reader->{name}: no error, nothing stale, nothing mixed");
}
is($node->safe_psql('postgres', q{SELECT swaps FROM venice.stat_store WHERE store = 'flips'}), $flips + 2, 'every one was counted');
wait_for_sql($node, q{SELECT count(*) FROM venice.left_version WHERE transactions IS DISTINCT FROM '{}'}, '0', 'maintenance catches up');

done_testing();
