# What services answer is logged by a worker, bounded, without the reader's help or harm; services live through a dump.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = venice_cluster('main');

$node->safe_psql('postgres', q{
	CREATE ROLE team LOGIN;
	CREATE ROLE other LOGIN;
	CREATE ROLE api LOGIN;
	GRANT CREATE ON DATABASE postgres TO team, other});

sub ask_as
{
	my ($role, $query, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres', "SET ROLE $role; $query");
}

ask_as('team', q{
	CREATE SCHEMA data;
	CREATE TABLE data.clicks (user_id bigint, clicks integer, at timestamptz);
	SELECT venice.create_entity('user', 'user_id bigint');
	SELECT venice.create_source('clicks', relation => 'data.clicks', event_time => 'at');
	SELECT venice.create_feature_view('user_clicks', '{user}', 'clicks', ttl => '365 days');
	SELECT venice.create_on_demand_view('rate', '{user_clicks:clicks}', 'clicks / impressions::float8 AS ctr', 'impressions integer');
	SELECT venice.push('user_clicks', 'SELECT g, g::integer, now() FROM generate_series(1, 1000) AS g');
	SELECT venice.create_service('model', '{user_clicks:clicks, rate:ctr}');
	GRANT USAGE ON SCHEMA model TO api});

sub logged { return 'SELECT count(*) FROM venice.served_features'; }
my $counted = q{SELECT logged, dropped > 0 FROM venice.stat_served WHERE service = 'model'};

# Nothing is logged that nobody wants logged.
ask_as('api', 'SELECT clicks FROM model.get(1, 10)');
is(ask_as('team', $counted), '', 'nothing is counted before log_service');

# An answer is logged whatever becomes of the reader's transaction, even one that may not write.
ask_as('team', q{SELECT venice.log_service('model', 1)});
is(ask_as('api', 'BEGIN READ ONLY; SELECT clicks, ctr FROM model.get(5, 10); ROLLBACK'), '5|0.5', 'an answer in a read-only transaction that is rolled back');
wait_for_sql($node, logged(), '1', 'it is logged');
is($node->safe_psql('postgres', q{SELECT service, project, arguments, features, status IS NULL, request_time < now() FROM venice.served_features}),
	'model|default|{"user_id": 5, "impressions": 10}|{"ctr": 0.5, "clicks": 5}|t|t', 'with what was asked and what was answered');
ask_as('api', q{SELECT * FROM model.batch_get('{1,5000}', '{1,1}')});
wait_for_sql($node, q{SELECT count(*), max(status ->> 'clicks') FROM venice.served_features}, '3|not_found', 'a row for each element of a batch');

# A log is its service's owner's.
is(ask_as($_, logged()), '0', "$_ sees nothing of it") for qw(api other);
is(ask_as($_, 'SELECT count(*) FROM venice.stat_served'), '0', "nor does $_ see its counts") for qw(api other);
is(ask_as('team', logged()), '3', 'the owner does');

# Readers neither wait nor fail where the log cannot be written; what finds no room is counted, and what found some is written later.
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE venice.served_feature IN ACCESS EXCLUSIVE MODE');
is(ask_as('api', 'SELECT count(*) FROM model.batch_get(array(SELECT generate_series(1, 50000)::bigint), array_fill(1, ARRAY[50000]))'),
	'50000', 'a batch is answered while the table is locked');
my ($noted, $dropped) = split /\|/, ask_as('team', $counted);
is($dropped, 't', 'some of it found no room');
$locker->query_safe('COMMIT');
$locker->quit;
wait_for_sql($node, logged(), $noted, 'what was noted is written when the lock is gone');

# The table is bounded by rows and by age.
$node->append_conf('postgresql.conf', 'venice.served_log_rows = 100');
$node->reload;
wait_for_sql($node, logged(), '100', 'the oldest go when there are too many');
$node->append_conf('postgresql.conf', 'venice.served_log_retention = 0');
$node->reload;
wait_for_sql($node, logged(), '0', 'all go when they are too old');
$node->append_conf('postgresql.conf', "venice.served_log_rows = 1000000\nvenice.served_log_retention = 7d");
$node->reload;

# A fraction is a fraction.
ask_as('team', q{SELECT venice.log_service('model', 0.5)});
ask_as('api', 'SELECT count(*) FROM model.batch_get(array(SELECT generate_series(1, 4000)::bigint), array_fill(1, ARRAY[4000]))');
my $before = $noted;
($noted) = split /\|/, ask_as('team', $counted);
cmp_ok($noted - $before, '>', 1600, 'half of the answers');
cmp_ok($noted - $before, '<', 2400, 'and not more');
wait_for_sql($node, logged(), $noted - $before, 'are written');
ask_as('team', q{SELECT venice.log_service('model', 0)});
ask_as('api', 'SELECT clicks FROM model.get(1, 10)');
like(ask_as('team', $counted), qr/^$noted\|/, 'with 0 nothing is logged any more');

# Services are dumped and restored with the database, and answer then as they did.
ask_as('team', q{SELECT venice.alter_service('model', '{"defaults": {"clicks": -1}, "description": "clicks and their rate"}')});
my $answers = 'SELECT * FROM model.get(7, 14); SELECT * FROM model.get(5000, 1)';
my $expected = ask_as('api', $answers);
is($expected, qq{7|0.5|\n-1||{"ctr": "not_found", "clicks": "not_found"}}, 'what it answers');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'a restore');
wait_for_sql($node, q{SELECT count(*) FROM venice.version_pointer}, '1', 'workers find the restored store', dbname => 'restored');
is(ask_as('api', $answers, 'restored'), $expected, 'it answers as it did');
is(ask_as('team', logged(), 'restored'), '0', 'its log stays where it was');
is(ask_as('team', q{SELECT venice.alter_service('model', '{"description": null}'); SELECT description IS NULL FROM venice.services}, 'restored'),
	"\nt", 'it can be altered there');

# Whoever makes another service of the same name does not get the log.
ask_as('team', q{SELECT venice.drop_service('model'); GRANT USAGE ON SCHEMA user_clicks TO other; GRANT SELECT ON user_clicks.records TO other});
ask_as('other', q{SELECT venice.create_service('model', '{user_clicks:clicks}')});
is(ask_as('other', logged()), '0', 'a service of the same name has a log of its own');
is(ask_as('other', 'SELECT count(*) FROM venice.stat_served'), '0', 'and counts');

log_is_clean($node, 'the log is clean');
done_testing();
