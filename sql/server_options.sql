-- Theme: how a Kafka server is declared, and which declarations are refused.

CREATE ROLE options_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER venice_kafka TO options_owner;
CREATE SERVER options_kafka FOREIGN DATA WRAPPER venice_kafka
    OPTIONS (bootstrap_servers 'b1, [::1]:9092,10.0.0.1:9093', security_protocol 'sasl_ssl', sasl_mechanism 'scram-sha-512',
             schema_registry_url 'https://sr1/prefix, https://sr2', ssl_ca_pem '-----', socket_timeout_ms '5000', group_id 'g');

-- A broker that cannot be one is refused when it is typed, not when a worker fails.
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers '');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers 'b1,,b2');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers 'b1:');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers 'b1:99999');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers 'b1:9092x');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers ':9092');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers '[::1');
ALTER SERVER options_kafka OPTIONS (SET bootstrap_servers 'b1 b2');
ALTER SERVER options_kafka OPTIONS (DROP bootstrap_servers);

-- Values from a list are checked against it, and the list is in the hint.
ALTER SERVER options_kafka OPTIONS (SET sasl_mechanism 'OAUTHBEARER');
ALTER SERVER options_kafka OPTIONS (ADD ssl_endpoint_identification_algorithm 'maybe');
ALTER SERVER options_kafka OPTIONS (ADD enable_ssl_certificate_verification 'yes');
ALTER SERVER options_kafka OPTIONS (SET socket_timeout_ms '5s');
ALTER SERVER options_kafka OPTIONS (ADD broker_address_family 'v5');

-- Nobody gets the library's default mechanism, Kerberos, by leaving it out.
ALTER SERVER options_kafka OPTIONS (DROP sasl_mechanism);

-- What runs code in the server, or is ours to set, is there for nobody.
ALTER SERVER options_kafka OPTIONS (ADD sasl_kerberos_kinit_cmd 'touch /tmp/x');
ALTER SERVER options_kafka OPTIONS (ADD enable_auto_commit 'true');
ALTER FOREIGN DATA WRAPPER venice_kafka OPTIONS (ADD bootstrap_servers 'b');

-- The server's files and the server's own Kerberos tickets are a superuser's to lend; then they stay lent.
ALTER SERVER options_kafka OPTIONS (SET sasl_mechanism 'GSSAPI', ADD ssl_ca_location '/dev/null');
SET ROLE options_owner;
CREATE SERVER options_own FOREIGN DATA WRAPPER venice_kafka
    OPTIONS (bootstrap_servers 'b', security_protocol 'SASL_PLAINTEXT', sasl_mechanism 'gssapi');
RESET ROLE;

-- A server of another wrapper is no Kafka server, and an absent one is said to be absent.
CREATE FOREIGN DATA WRAPPER options_other;
CREATE SERVER options_other FOREIGN DATA WRAPPER options_other;
SELECT venice.create_store('options_store', 'id integer', 'v integer', server => 'options_other');
SELECT venice.create_store('options_store', 'id integer', 'v integer', server => 'options_absent');

DROP SERVER options_kafka;
DROP SERVER options_other;
DROP FOREIGN DATA WRAPPER options_other;
REVOKE USAGE ON FOREIGN DATA WRAPPER venice_kafka FROM options_owner;
DROP ROLE options_owner;
