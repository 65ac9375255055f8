# What is lost with an unlogged table, and a disk that is full, are mended without anybody's help, and readers are never told lies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir('small');
my $library = PostgreSQL::Test::Utils::tempdir() . '/disk_full.so';
system_or_bail('cc', '-shared', '-fPIC', '-o', $library, "$VeniceTest::test_dir/lib/disk_full.c");
$ENV{DISK_FULL_DIRECTORY} = $directory;

my $node = venice_cluster('main', conf => "venice.batch_rows = 500\nvenice.batch_delay = 5ms\n", start => 0);
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

# The library is the server's alone.
sub start
{
	local $ENV{LD_PRELOAD} = $library;

	$node->start;
	return;
}

sub crash
{
	$node->stop('immediate');
	start();
	return;
}

sub produce
{
	my ($topic, $first, $last) = @_;

	$kafka->produce($topic, [ map { { key => "k$_", value => { n => $_ } } } $first .. $last ], key => 'text', value => 'json');
	return;
}

# A store, unlogged unless said otherwise, whose topic has records 1 to 100.
sub create_store
{
	my ($store, $dbname, $options) = @_;
	my $topic = unique_name($store);

	$node->safe_psql($dbname // 'postgres', sprintf(q{
		SELECT venice.create_store('%s', 'id text', 'n int', 'k', '{"key_format": "text", "value_format": "json", "unlogged": true}'::jsonb
			|| '{"version_topic": "%s"}' || '%s')}, $store, $topic, $options // '{}'));
	$kafka->topic($topic, 1);
	produce($topic, 1, 100);
	return $topic;
}

sub versions { return sprintf q{SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM venice.versions WHERE store = '%s'}, @_; }

start();
$node->safe_psql('postgres', qq{
	CREATE EXTENSION venice;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});

# One store for each moment at which a crash may come.
my $loading = create_store('loading');
$node->safe_psql('postgres', "SELECT venice.start_push('loading')");
create_store('deferred');
$node->safe_psql('postgres', "SELECT venice.start_push('deferred'); SELECT venice.end_push('deferred', swap => false)");
my $live = create_store('live');
create_store('gone');
for my $store (qw(live gone))
{
	$node->safe_psql('postgres', "SELECT venice.start_push('$store'); SELECT venice.end_push('$store')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('$store', timeout => '60 s')");
}
$node->safe_psql('postgres', q{
	SELECT venice.create_store('sql', 'id text', 'n int', options => '{"unlogged": true, "accept_loss": true}');
	SELECT venice.push('sql', 'VALUES (''k7'', 7)')});
wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'loading'", '100', 'a version is being loaded');
wait_for_sql($node, versions('deferred'), '0 current, 1 ready', 'another waits for its swap');

# A shutdown in order loses nothing.
$node->stop;
start();
is($node->safe_psql('postgres', q{SELECT n FROM live.get('k7'); SELECT n FROM sql.get('k7'); SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'loading'}),
	"7\n7\n100", 'what is unlogged survives a shutdown in order');
is($node->safe_psql('postgres', versions('deferred')), '0 current, 1 ready', 'with its state');

# Whatever a crash has emptied gives no answer at all, not an empty one.
$node->safe_psql('postgres', "SELECT venice.pause_ingestion('live')");
crash();
like(sql_error($node, "SELECT n FROM live.get('k7')"), qr/^55000: version 1 of store "live" was lost in a crash/, 'a current version that a crash emptied does not answer');
like(sql_error($node, "SELECT n FROM sql.get('k7')"), qr/^55000: .*\n.*\nHINT: .* pushed again/, 'nor does one that was pushed through SQL; the hint says what to do');

# What came from a topic is loaded again by itself.
wait_for_sql($node, versions('live'), '1 lost, 2 started', 'a current version is pushed again by itself');
like($node->safe_psql('postgres', "SELECT detail FROM venice.versions WHERE store = 'live' AND version = 2"), qr/version 1, which a crash has emptied/, 'and says why');
like(sql_error($node, "SELECT n FROM live.get('k7')"), qr/^55000: /, 'readers are told the truth until it is there');
$node->safe_psql('postgres', "SELECT venice.resume_ingestion('live')");
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'live' AND version = 2", 'current', 'it becomes current');
is($node->safe_psql('postgres', "SELECT n FROM live.get('k7'); SELECT count(*) FROM live.records"), "7\n100", 'and answers');

produce($loading, 101, 200);
wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'loading'", '200', 'a version that was being loaded is loaded from the beginning');
is($node->safe_psql('postgres', versions('loading')), '0 current, 1 started', 'its push is the same');
$node->safe_psql('postgres', "SELECT venice.end_push('loading')");
$node->safe_psql('postgres', "CALL venice.wait_for_push('loading')");
is($node->safe_psql('postgres', 'SELECT count(*), sum(n) FROM loading.records'), '200|20100', 'with every record once');

wait_for_sql($node, "SELECT state, rows FROM venice.versions WHERE store = 'deferred' AND version = 1", 'ready|100', 'one that was ready becomes so again');
$node->safe_psql('postgres', "SELECT venice.swap_version('deferred', 1)");
is($node->safe_psql('postgres', "SELECT n FROM deferred.get('k7')"), '7', 'and can be swapped in');

# What came from nowhere waits for a push.
is($node->safe_psql('postgres', versions('sql')), '1 lost', 'what was pushed through SQL stays lost');
$node->safe_psql('postgres', q{SELECT venice.push('sql', 'VALUES (''k7'', 8)')});
is($node->safe_psql('postgres', "SELECT n FROM sql.get('k7')"), '8', 'until the next push');

# A topic that is gone is no reason to try for ever.
$node->safe_psql('postgres', "SELECT venice.pause_ingestion('gone')");
crash();
wait_for_sql($node, q{SELECT count(*) FROM venice.versions WHERE store = 'gone' AND state = 'started'}, '1', 'a version is to be loaded again');
$kafka->delete_topic($node->safe_psql('postgres', "SELECT DISTINCT topic FROM venice.stat_ingestion WHERE store = 'gone'"));
$node->safe_psql('postgres', "SELECT venice.resume_ingestion('gone')");
wait_for_sql($node, q{SELECT state, error ~ 'does not exist' FROM venice.pushes WHERE store = 'gone' ORDER BY version DESC LIMIT 1}, 'failed|t', 'its topic is gone: the push fails and says so',
	timeout_s => 90);
like(sql_error($node, "SELECT n FROM gone.get('k7')"), qr/^55000: /, 'and the store goes on saying that it lost its rows');

# A database on a disk that becomes full in the midst of a push.
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$directory'");
$node->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
$node->safe_psql('small', qq{
	CREATE EXTENSION venice;
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')});
my $topic = create_store('clicks', 'small', '{"unlogged": false}');
$node->safe_psql('small', "SELECT venice.start_push('clicks'); SELECT venice.end_push('clicks')");
$node->safe_psql('small', "CALL venice.wait_for_push('clicks')");
$node->safe_psql('small', "SELECT venice.start_push('clicks')");
wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE version = 2", '100', 'a push is on its way', dbname => 'small');
append_to_file("$directory.full", '');
produce($topic, 101, 20000);
wait_for_sql($node, 'SELECT state, last_error FROM venice.stat_ingestion WHERE version = 2', qr/^retrying\|could not extend file .* No space left on device/,
	'the disk is full: the push says so, and is tried again', dbname => 'small');
is($node->safe_psql('small', versions('clicks')), '1 current, 2 started', 'it has not failed');
is($node->safe_psql('small', "SELECT n FROM clicks.get('k7')"), '7', 'the current version is as it was');
unlink "$directory.full";
wait_for_sql($node, 'SELECT sum(messages) FROM venice.stat_ingestion WHERE version = 2', '20000', 'room is made: it goes on', dbname => 'small', timeout_s => 90);
append_to_file("$directory.full", '');
$node->safe_psql('small', "SELECT venice.end_push('clicks')");
wait_for_sql($node, versions('clicks'), '1 current, 2 building', 'full while the index is built', dbname => 'small');
wait_for_sql($node, 'SELECT detail FROM venice.versions WHERE version = 2', qr/^The build has failed and is tried again: could not extend file .* No space left on device/,
	'the version says why it does not get on', dbname => 'small');
ok($node->wait_for_log(qr/WARNING:  could not extend file .* No space left on device.*maintenance \(build\) of store "clicks", version 2/s), 'the log says so');
is($node->safe_psql('small', "SELECT n FROM clicks.get('k7')"), '7', 'the current version is as it was');
unlink "$directory.full";
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'clicks' AND version = 2", 'current', 'room is made: the push completes', dbname => 'small', timeout_s => 90);
is($node->safe_psql('small', 'SELECT count(*), sum(n) FROM clicks.records'), '20000|200010000', 'with every record once');
log_is_clean($node, 'the server log has nothing else to worry about', qr/No space left on device/, qr/terminating connection because of crash/);

done_testing();
