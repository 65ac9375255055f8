# A broker that refuses, is not there, or never answers leaves the push waiting,
# with a clear error, and the worker serving everybody else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main', conf => "venice.max_ingest_workers = 1\n");
my $kafka = VeniceTest::Kafka->new;
my $plain = $kafka->bootstrap;
my $sasl = $kafka->sasl_bootstrap;
my $json = '{"key_format": "text", "value_format": "json"}';

$node->safe_psql('postgres', qq{
	CREATE SERVER good FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$plain');
	CREATE SERVER refused FOREIGN DATA WRAPPER venice_kafka
		OPTIONS (bootstrap_servers '$sasl', security_protocol 'SASL_PLAINTEXT', sasl_mechanism 'PLAIN');
	CREATE USER MAPPING FOR PUBLIC SERVER refused OPTIONS (sasl_username 'venice', sasl_password 'wrong-password');
	CREATE SERVER dead FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1')});

sub create_store
{
	my ($store, $server) = @_;

	$node->safe_psql('postgres', qq{
		SELECT venice.create_store('$store', 'id text', 'n int', '$server', '$json');
		SELECT venice.start_push('$store')});
	return;
}

sub unit { my ($store) = @_;
	return "SELECT state, last_error IS NOT NULL, next_retry_time IS NOT NULL FROM venice.stat_ingestion WHERE store = '$store'"; }

create_store('dead', 'dead');
create_store('refused', 'refused');
wait_for_sql($node, unit('dead'), 'retrying|t|t', 'a broker that is not there is tried again');
wait_for_sql($node, unit('refused'), 'retrying|t|t', 'wrong credentials are tried again');
like($node->safe_psql('postgres', "SELECT last_error FROM venice.stat_ingestion WHERE store = 'refused'"), qr/authentication/i,
	'the error says what is wrong');
unlike($node->safe_psql('postgres', 'SELECT string_agg(last_error, chr(10)) FROM venice.stat_ingestion'), qr/wrong-password/,
	'and keeps the password to itself');

# Who waits for such a push is told where the reason is.
{
	my (undef, undef, $stderr) = $node->psql('postgres', "CALL venice.wait_for_push('dead', timeout => '0')");

	like($stderr, qr/NOTICE: .* topic "dead_v1" is not being read yet, see venice\.stat_ingestion\n.*HINT: .* FROM venice\.stat_ingestion WHERE store = 'dead' AND version = 1 /s,
		'wait_for_push says where to look');
}

# The one worker serves a store whose broker is well.
$kafka->topic('good_v1', 2);
$kafka->topic('refused_v1', 1);
$kafka->produce('good_v1', [ map { { key => "k$_", value => { n => $_ } } } 1 .. 100 ], key => 'text', value => 'json');
$kafka->produce('refused_v1', [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'json');
create_store('good', 'good');
$node->safe_psql('postgres', "SELECT venice.end_push('good')");
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'good' AND version = 1", 'current', 'others proceed meanwhile');

# Mended credentials are used at the next attempt.
$node->safe_psql('postgres', q{
	ALTER USER MAPPING FOR PUBLIC SERVER refused OPTIONS (SET sasl_password 'secret');
	SELECT venice.end_push('refused')});
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'refused' AND version = 1", 'current', 'mended credentials are enough');

# A broker that stops answering, and then does again.
create_store('stopped', 'good');
$kafka->topic('stopped_v1', 1);
$kafka->produce('stopped_v1', [ { key => 'a', value => { n => 1 } } ], key => 'text', value => 'json');
wait_for_sql($node, "SELECT sum(messages) FROM venice.stat_ingestion WHERE store = 'stopped'", '1', 'the topic is read');
$kafka->signal('STOP');
is($node->safe_psql('postgres', "SELECT part, ok FROM venice.check_server('good')"), "broker|f\nauth|f\nregistry|t", 'check_server ends and says so');
like(sql_error($node, "SELECT * FROM venice.peek('good', 'stopped_v1')"), qr/^08006: /, 'peek ends with an error');
is($node->safe_psql('postgres', "SELECT venice.abort_push('dead')"), '', 'a push can be aborted while brokers hang');
$node->safe_psql('postgres', "SELECT venice.end_push('stopped')");
$kafka->signal('CONT');
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'stopped' AND version = 1", 'current', 'the push completes when the broker answers again',
	timeout_s => 120);

done_testing();
