# Without shared_preload_libraries everything works that needs no worker, and what workers do is done by hand.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "shared_preload_libraries = ''\n");
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

sub versions { return $node->safe_psql('postgres', q{SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM venice.versions WHERE store = 's'}); }

# Stores, pushes, swaps and look-ups.
$node->safe_psql('postgres', q{SELECT venice.create_store('s', 'id int', 'n int', options => '{"versions_to_keep": 1}')});
is($node->safe_psql('postgres', q{SELECT venice.push('s', 'VALUES (1, 10)'); SELECT n FROM s.get(1)}), "1\n10", 'a push through SQL');
is($node->safe_psql('postgres', q{SELECT venice.push('s', 'VALUES (1, 20)'); SELECT n FROM s.get(1)}), "2\n20", 'and another');
is(versions(), '1 backup, 2 current', 'nobody drops what is past its time');
$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
is(versions(), '2 current', 'but run_maintenance');

# A swap that waited for a dump.
my $dump = $node->background_psql('postgres');
$dump->query_safe('BEGIN; LOCK TABLE s.swap_gate_v2 IN ACCESS SHARE MODE');
$node->safe_psql('postgres', q{SELECT venice.push('s', 'VALUES (1, 30)')});
is(versions(), '2 current, 3 waiting_for_dump', 'a swap waits for a dump');
my (undef, undef, $warning) = $node->psql('postgres', 'CALL venice.run_maintenance()');
is(versions(), '2 current, 3 waiting_for_dump', 'run_maintenance does not wait for it');
$dump->query_safe('COMMIT');
$dump->quit;
$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
is(versions(), '3 current', 'but makes it when it is over');

# What a crash has emptied is found lost by hand too.
$node->safe_psql('postgres', q{
	SELECT venice.create_store('u', 'id int', 'n int', options => '{"unlogged": true, "accept_loss": true}');
	SELECT venice.push('u', 'VALUES (1, 10)')});
$node->stop('immediate');
$node->start;
like(sql_error($node, 'SELECT n FROM u.get(1)'), qr/^55000: .*lost in a crash/, 'an unlogged version that a crash emptied does not answer');
$node->safe_psql('postgres', 'CALL venice.run_maintenance()');
is($node->safe_psql('postgres', q{SELECT state FROM venice.versions WHERE store = 'u'}), 'lost', 'run_maintenance says that it is lost');

# A store that wants its rows in memory is told that there is none, when it begins to want it.
sub notices
{
	my ($query) = @_;
	my (undef, undef, $notices) = $node->psql('postgres', $query);

	return $notices;
}
my $no_memory = qr/^psql:<stdin>:1: NOTICE:  this server has no memory for the rows of store "m"\n.*HINT:  Set "venice.cache_size" and restart the server\.$/;
like(notices(q{SELECT venice.create_store('m', 'id int', 'n int', options => '{"cache": true}')}), $no_memory, 'a new store');
is(notices(q{SELECT venice.alter_store('m', '{"cache_ttl": "1 hour"}')}), '', 'not again');
is(notices(q{SELECT venice.alter_store('m', '{"cache": false}')}), '', 'nor where it does not want it any more');
like(notices(q{SELECT venice.alter_store('m', '{"cache": true}')}), $no_memory, 'but when it wants it again');

# Kafka needs workers: to look at it is possible, to ingest is not.
my $topic = unique_name('clicks');
$kafka->topic($topic, 1);
$kafka->produce($topic, [ { key => 'k1', value => { n => 1 } } ], key => 'text', value => 'json');
$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap');
	SELECT venice.create_store('clicks', 'id text', 'n int', 'k', '{"key_format": "text", "value_format": "json", "version_topic": "$topic"}')});
is($node->safe_psql('postgres', qq{SELECT bool_and(ok) FROM venice.check_server('k'); SELECT convert_from(key, 'UTF8') FROM venice.peek('k', '$topic')}), "t\nk1", 'check_server and peek work');
like(sql_error($node, "SELECT venice.start_push('clicks')"), qr/^55000: a push through Kafka needs background workers.*\nHINT: .*shared_preload_libraries/, 'a push through Kafka is refused, with what to do');
is($node->safe_psql('postgres', q{SELECT venice.push('clicks', 'VALUES (''k1'', 5)'); SELECT n FROM clicks.get('k1')}), "1\n5", 'one through SQL is not');
for my $view (split ' ', $node->safe_psql('postgres', q{SELECT string_agg(viewname, ' ' ORDER BY viewname) FROM pg_views WHERE schemaname = 'venice'}))
{
	is(sql_error($node, "TABLE venice.$view"), '', "view $view");
}
is($node->safe_psql('postgres', 'SELECT venice.pause_ingestion(); SELECT venice.resume_ingestion(); SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE \'venice %\''), "\n\n0", 'there is nothing to pause, and that is no error');

# A database is dropped like any other.
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION venice');
is(sql_error($node, 'CREATE DATABASE third TEMPLATE second'), '', 'a database with the extension is copied');
is(sql_error($node, "DROP DATABASE $_"), '', 'and dropped') for qw(second third);

# Preloaded, it does all the rest.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'venice'\n");
$node->restart;
$node->safe_psql('postgres', "SELECT venice.start_push('clicks'); SELECT venice.end_push('clicks')");
$node->safe_psql('postgres', "CALL venice.wait_for_push('clicks')");
is($node->safe_psql('postgres', q{SELECT n FROM clicks.get('k1')}), '1', 'preloaded, it ingests');
log_is_clean($node, 'the server log has nothing to worry about');

done_testing();
