# Secrets stay in user mappings, and what a store's owner attached to it runs in
# workers as the owner, confined.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The log has all that the server and librdkafka say, but for statements, which are the client's to keep out of it.
my $node = venice_cluster('main', conf => "log_statement = none\nlog_min_error_statement = panic\nlog_min_messages = debug1\nlog_error_verbosity = verbose\n");
my $kafka = VeniceTest::Kafka->new;
my $registry = VeniceTest::Registry->new(user => 'reader:sEcret-right');
my $plain = $kafka->bootstrap;
my $sasl = $kafka->sasl_bootstrap;
my $url = $registry->url;
my @said;

# Everything that a statement tells its client.
sub say_all
{
	my ($statement) = @_;
	my (undef, $output, $errors) = $node->psql('postgres', $statement, extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	push @said, "$output\n$errors";
	return "$output\n$errors";
}

# The broker refuses one password and takes the other, the registry likewise; keys and certificates are no such thing.
$node->safe_psql('postgres', qq{
	CREATE ROLE team LOGIN;
	GRANT CREATE ON DATABASE postgres TO team;
	CREATE SERVER refused FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$sasl',
		security_protocol 'SASL_PLAINTEXT', sasl_mechanism 'PLAIN', schema_registry_url '$url');
	CREATE USER MAPPING FOR PUBLIC SERVER refused OPTIONS (sasl_username 'venice', sasl_password 'sEcret-sasl',
		schema_registry_user 'reader', schema_registry_password 'sEcret-registry');
	CREATE SERVER tokens FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$plain', schema_registry_url '$url');
	CREATE USER MAPPING FOR PUBLIC SERVER tokens OPTIONS (schema_registry_token 'sEcret-token');
	CREATE SERVER keys FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$plain', security_protocol 'SSL',
		schema_registry_url 'https://127.0.0.1:1', ssl_certificate_pem 'no certificate', schema_registry_certificate_pem 'no certificate');
	CREATE USER MAPPING FOR PUBLIC SERVER keys OPTIONS (ssl_key_pem 'sEcret-key', ssl_key_password 'sEcret-key-password',
		schema_registry_key_pem 'sEcret-registry-key', schema_registry_key_password 'sEcret-registry-key-password');
	GRANT USAGE ON FOREIGN SERVER refused, tokens, keys TO team});

for my $server (qw(refused tokens keys))
{
	$kafka->topic("secret_${server}_v1", 1);
	$kafka->format("framed_$server", { type => 'record', name => 'r', fields => [ { name => 'n', type => 'int' } ] }, schema_id => 4711);
	$kafka->produce("secret_${server}_v1", [ { key => 'a', value => { n => 1 } } ], key => 'text', value => "framed_$server");
	$node->safe_psql('postgres', qq{SET ROLE team;
		SELECT venice.create_store('secret_$server', 'id text', 'n int', '$server', '{"key_format": "text"}');
		SELECT venice.start_push('secret_$server')});
	wait_for_sql($node, "SELECT last_error IS NOT NULL FROM venice.stat_ingestion WHERE store = 'secret_$server'", 't',
		"a server whose secrets are refused: $server");
	like(say_all("SET ROLE team; SELECT * FROM venice.check_server('$server')"), qr/\bf\b|ERROR/, 'check_server says that they are');
	say_all("SET ROLE team; SELECT * FROM venice.peek('$server', 'secret_${server}_v1')");
}
like($said[0], qr/authentication/i, 'and why');

# What is refused does not repeat what may be a secret in the wrong place.
for my $statement (
	q{CREATE SERVER s FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', sasl_password 'sEcret-1')},
	q{CREATE SERVER s FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', schema_registry_url 'http://u:sEcret-2@h')},
	q{CREATE SERVER s FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'sEcret-3@h:x')},
	q{CREATE SERVER s FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', security_protocol 'sEcret-4')},
	q{ALTER USER MAPPING FOR PUBLIC SERVER keys OPTIONS (ADD sasl_pasword 'sEcret-5')},
	q{ALTER USER MAPPING FOR PUBLIC SERVER keys OPTIONS (ADD sasl_password '', SET ssl_key_pem 'sEcret-6')})
{
	like(say_all($statement), qr/ERROR/, "refused: $statement");
}

# Who sees everything else sees no secret.
my $relations = $node->safe_psql('postgres', q{
	SELECT string_agg(format('SELECT t::text FROM %s t', oid::regclass), ' UNION ALL ') FROM pg_class
	 WHERE relnamespace = 'venice'::regnamespace AND relkind IN ('r', 'v')});
push @said, $node->safe_psql('postgres', "$relations UNION ALL SELECT a::text FROM pg_stat_activity a UNION ALL SELECT s.options::text || s.srvoptions FROM "
	. '(SELECT option_name || option_value AS options, foreign_server_name::text AS srvoptions FROM information_schema.foreign_server_options) s');
push @said, $node->safe_psql('postgres', q{SET ROLE team; SELECT m::text FROM pg_user_mappings m WHERE umuser <> 0});
unlike(join("\n", @said), qr/sEcret/, 'no answer, error, view or table has a secret');
my $log = slurp_file($node->logfile);
like($log, qr/authentication/i, 'the log has what librdkafka says');
unlike($log, qr/sEcret/, 'the log has no secret');
$node->safe_psql('postgres', "SELECT venice.drop_store('secret_$_', force => true)") for qw(refused tokens keys);

# Types and defaults of a column are evaluated by ingest workers, indexes by maintenance: all as the owner, who cannot become anybody else.
my $topic = unique_name('confined');
$kafka->topic($topic, 1);
$node->safe_psql('postgres', qq{
	CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$plain');
	GRANT USAGE ON FOREIGN SERVER k TO team;
	CREATE SCHEMA team AUTHORIZATION team;
	SET ROLE team;
	CREATE FUNCTION team.tries(what text) RETURNS text LANGUAGE plpgsql STABLE AS \$\$
	BEGIN
		PERFORM set_config('role', 'none', false);
		RETURN format('%s escaped to %s', what, current_user);
	EXCEPTION WHEN OTHERS THEN
		RETURN format('%s by %s: %s', what, current_user, SQLERRM);
	END\$\$;
	CREATE FUNCTION team.judges(value integer) RETURNS boolean LANGUAGE plpgsql AS \$\$
	BEGIN
		IF value < 0 THEN RAISE EXCEPTION '%', team.tries('domain'); END IF;
		RETURN true;
	END\$\$;
	CREATE DOMAIN team.positive AS integer CHECK (team.judges(VALUE));
	CREATE FUNCTION team.indexes(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
		\$\$BEGIN RETURN value || ', ' || team.tries('index'); END\$\$;
	SELECT venice.create_store('confined', 'id text', 'n team.positive, d text DEFAULT team.tries(''default'')', 'k',
		'{"key_format": "text", "value_format": "json", "max_rejected": 5, "version_topic": "$topic"}');
	CREATE UNIQUE INDEX ON confined.records (team.indexes('same'));
	SELECT venice.start_push('confined')});
$kafka->produce($topic, [ { key => 'a', value => { n => 1 } }, { key => 'b', value => { n => -1 } } ], key => 'text', value => 'json');
$node->safe_psql('postgres', "SET ROLE team; SELECT venice.end_push('confined')");
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'confined' AND version = 1", 'current', 'a store with code in its types is loaded');

my $confined = 'by team: cannot set parameter "role" within security-definer function';
is($node->safe_psql('postgres', "SELECT error FROM venice.rejected_records WHERE store = 'confined'"), "domain $confined",
	'a domain is checked as the owner, confined');
is($node->safe_psql('postgres', 'SELECT d FROM confined.records'), "default $confined", 'so is a default');

# An expression's value is in the error of the second row that has it.
$kafka->produce($topic, [ { key => 'c', value => { n => 1 } } ], key => 'text', value => 'json');
$node->safe_psql('postgres', "SET ROLE team; SELECT venice.start_push('confined'); SELECT venice.end_push('confined')");
wait_for_sql($node, "SELECT state FROM venice.versions WHERE store = 'confined' AND version = 2", 'failed', 'a unique index fails a push');
like($node->safe_psql('postgres', "SELECT detail FROM venice.versions WHERE store = 'confined' AND version = 2"), qr/index \Q$confined\E/,
	'and an index is built as the owner, confined');

done_testing();
