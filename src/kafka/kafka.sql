-- Connections to Kafka: a foreign-data wrapper without a handler, for its servers, user mappings and their privileges.

CREATE FUNCTION venice_internal.kafka_validator(options text[], catalog oid)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_kafka_validator';
COMMENT ON FUNCTION venice_internal.kafka_validator(text[], oid) IS
    'Allow-list of the options of venice_kafka''s servers and user mappings.';

CREATE FOREIGN DATA WRAPPER venice_kafka VALIDATOR venice_internal.kafka_validator;
COMMENT ON FOREIGN DATA WRAPPER venice_kafka IS
    'Kafka clusters that stores are fed from. Options are librdkafka''s properties with "_" for "."; secrets belong into user mappings.';
