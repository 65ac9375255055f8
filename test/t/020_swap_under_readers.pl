# Swaps, roll-backs and retirement while readers read: no reader errs, waits, or sees two versions at once.
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

done_testing();
