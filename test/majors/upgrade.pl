# pg_upgrade carries a node with all its stores to another major, and none of them begins to ingest by itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

sub bindir
{
	my ($pg_config) = @_;

	chomp(my $bindir = `$pg_config --bindir`);
	die "cannot run $pg_config" unless $bindir;
	return $bindir;
}

my $old_bindir = bindir($ENV{OLD_PG_CONFIG});
my $new_bindir = bindir($ENV{PG_CONFIG});
my $old = venice_cluster('old', conf => "venice.ingestion = off\n", extension => 0, start => 0,
	install_path => $old_bindir =~ s{/bin$}{}r);

$old->start;
$old->safe_psql('postgres', q{
	CREATE EXTENSION venice;
	CREATE ROLE owner;
	CREATE ROLE reader;
	GRANT CREATE ON DATABASE postgres TO owner;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
	CREATE USER MAPPING FOR owner SERVER k OPTIONS (sasl_username 'u', sasl_password 'p');
	GRANT USAGE ON FOREIGN SERVER k TO owner});

# A store with a backup, and everything that people attach to one.
$old->safe_psql('postgres', q{
	SET ROLE owner;
	SELECT venice.create_store('scores', 'id bigint', 'country text, score real');
	SELECT venice.push('scores', $$SELECT i, 'de', i FROM generate_series(1, 100) i$$);
	SELECT venice.push('scores', $$SELECT i, (ARRAY['de', 'fr'])[1 + i % 2], i * 2 FROM generate_series(1, 1000) i$$);
	CREATE INDEX by_country ON scores.records (country);
	GRANT USAGE ON SCHEMA scores TO reader;
	GRANT SELECT (id, country, score) ON scores.records TO reader;
	GRANT EXECUTE ON FUNCTION scores.get TO reader;
	ALTER TABLE scores.records ENABLE ROW LEVEL SECURITY;
	CREATE POLICY only_de ON scores.records FOR SELECT TO reader USING (country = 'de')});

# One whose rows are in no write-ahead log.
$old->safe_psql('postgres', q{
	SET ROLE owner;
	SELECT venice.create_store('cache', 'id integer', 'v text', options => '{"unlogged": true, "accept_loss": true}');
	SELECT venice.push('cache', $$VALUES (1, 'one'), (2, 'two')$$)});

# One in the midst of a push from Kafka, and one that has had none.
$old->safe_psql('postgres', q{
	SET ROLE owner;
	SELECT venice.create_store('visits', 'id integer', 'n integer', 'k', '{"key_format": "int4", "value_format": "json"}');
	SELECT venice.create_store('clicks', 'id integer', 'n integer', 'k', '{"key_format": "int4", "value_format": "json"}');
	SELECT venice.start_push('clicks');
	INSERT INTO clicks_v1.records VALUES (1, 10), (2, 20);
	RESET ROLE;
	INSERT INTO venice.partition_state (store_name, version, topic, partition, next_offset, loaded_through, messages, rows)
		VALUES ('clicks', 1, 'clicks_v1', 0, 42, '(0,2)', 2, 2)});

# A view that has a past, and a training set that was made of it.
$old->safe_psql('postgres', q{
	SET ROLE owner;
	CREATE SCHEMA events;
	CREATE TABLE events.scored (id bigint, at timestamptz, score real);
	INSERT INTO events.scored VALUES (1, '2020-01-01', 1), (1, '2020-01-03', 3);
	SELECT venice.create_entity('player', 'id bigint');
	SELECT venice.create_source('scored', relation => 'events.scored', event_time => 'at');
	SELECT venice.create_feature_view('scored', '{player}', 'scored', 'score');
	SELECT venice.create_training_set('events.train', 'SELECT 1 AS id, ''2020-01-02''::timestamptz AS event_time', '{scored:score}')});

wait_for_sql($old, q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '_v0$' AND nspname !~ '^scored'}, '0', 'the old server has cleaned up');

# What must be the same on both sides.
my %same = (
	'versions' => 'SELECT store, version, state, push_id, swapped_time FROM venice.versions ORDER BY 1, 2',
	'pushes' => 'SELECT * FROM venice.pushes ORDER BY store, version',
	'columns' => 'SELECT * FROM venice.columns',
	'pointers' => 'SELECT store_name, version, records::regclass, swap_xid FROM venice.version_pointer ORDER BY 1',
	'tables of versions' => 'SELECT store_name, version, records::regclass FROM venice.version_table ORDER BY 1, 2',
	'backups and what made them such' => 'SELECT store_name, version, left_xid FROM venice.left_version ORDER BY 1, 2',
	'positions' => 'SELECT store, kafka_offset, messages, rows_inserted FROM venice.stat_ingestion',
	'the last row loaded' => 'SELECT loaded_through FROM venice.partition_state',
	'counters' => 'SELECT store, pushes, swaps, rows_inserted FROM venice.stat_store ORDER BY 1',
	'rows' => 'SELECT * FROM scores.records ORDER BY id',
	'rows of a backup' => 'SELECT * FROM scores_v1.records ORDER BY id',
	'rows of a version being loaded' => 'SELECT ctid, * FROM clicks_v1.records',
	'a look-up' => 'SELECT * FROM scores.get(7)',
	'a batch of look-ups' => "SELECT * FROM scores.batch_get('{999,1,5000,2}')",
	'look-ups in an unlogged store' => "SELECT * FROM cache.batch_get('{1,2,3}')",
	'training sets' => 'SELECT relation, owner, definition, view_versions, snapshot, rows, statistics, created_time FROM venice.training_sets',
	'the past' => q{SELECT * FROM scored.as_of(1, '2020-01-02')},
	'owners' => q{SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname ~ '^(scores|cache|clicks|visits)' ORDER BY 1},
	'what a reader may see' => q{SET ROLE reader; SELECT count(*), max(country) FROM scores.records},
	'what a reader looks up' => 'SET ROLE reader; SELECT country FROM scores.get(7)',
	'indexes' => q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'scores' ORDER BY 1},
	'secrets' => 'SELECT unnest(umoptions) FROM pg_user_mappings ORDER BY 1');
my %before = map { $_ => $old->safe_psql('postgres', $same{$_}) } keys %same;

is($before{'what a reader may see'}, '500|de', 'the policy is in force on the old server');
like($before{'positions'}, qr/^clicks\|42\|/, 'so is the position');
$old->stop;

# Upgrade into a new cluster, and look at everything.
sub upgrade
{
	my ($mode) = @_;
	my $new = venice_cluster($mode, extension => 0, start => 0);
	my @command = (
		"$new_bindir/pg_upgrade", '--no-sync', '--retain',
		'--old-bindir', $old_bindir, '--old-datadir', $old->data_dir, '--old-port', $old->port,
		'--new-bindir', $new_bindir, '--new-datadir', $new->data_dir, '--new-port', $new->port,
		'--socketdir', $new->host, "--$mode");

	command_ok([ @command, '--check' ], "$mode: nothing of venice stands in the way of pg_upgrade");
	command_ok(\@command, "$mode: pg_upgrade runs");
	unlike(join('', map { slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log')),
		qr/^$|background worker "venice/, "$mode: no process of venice ran meanwhile");
	$new->start;

	is($new->safe_psql('postgres', $same{$_}), $before{$_}, "$mode: $_ are as before") foreach sort keys %same;

	# The new cluster is another node: whether it takes over is for its owner to say.
	is($new->safe_psql('postgres', 'SELECT store, state FROM venice.stores ORDER BY 1'),
		"cache|ok\nclicks|restored\nscored|ok\nscores|ok\nvisits|restored", "$mode: stores with a topic are restored, the others go on");
	wait_for_sql($new, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'venice supervisor' AND state = 'idle'},
		't', "$mode: workers start");
	is($new->safe_psql('postgres', 'SELECT state FROM venice.stat_ingestion'), 'paused', "$mode: nothing is ingested");
	like(sql_error($new, q{SELECT venice.start_push('visits')}), qr/^55000: .*restored or copied.*venice\.resume_ingestion/s,
		"$mode: a push from Kafka is refused, with what to do");

	# It is a node like any other.
	$new->safe_psql('postgres', q{
		SET ROLE owner;
		SELECT venice.push('scores', $$SELECT i, 'de', 0 FROM generate_series(1, 10) i$$)});
	is($new->safe_psql('postgres', q{SELECT * FROM scores.get(7)}), 'de|0', "$mode: a push is current");
	is($new->safe_psql('postgres', 'SET ROLE reader; SELECT count(*) FROM scores.records'), '10',
		"$mode: its grants and policies have followed");
	is($new->safe_psql('postgres', q{
		SET ROLE owner;
		SELECT venice.rollback_version('scores');
		SELECT * FROM scores.get(7)}), "2\nfr|14", "$mode: a version from before is current again");
	is($new->safe_psql('postgres', q{SET ROLE owner; UPDATE events.scored SET score = score + 10; SELECT venice.refresh_training_set('events.train'); SELECT id, score FROM events.train}),
		"1\n1|11", "$mode: a training set is made again");
	$new->safe_psql('postgres', 'SELECT venice.resume_ingestion()');
	wait_for_sql($new, 'SELECT state FROM venice.stat_ingestion', 'retrying', "$mode: when told to, the load goes on");
	is($new->safe_psql('postgres', 'SELECT kafka_offset FROM venice.stat_ingestion'), '42', "$mode: at its position");
	$new->stop;
	log_is_clean($new, "$mode: the log says nothing else");
	return;
}

# A copy leaves the old cluster as it was; links do not, so they come last.
upgrade('copy');
upgrade('link');
done_testing();
