-- Stores and pushes.  All executable by PUBLIC: each demands what core's equivalent command demands.

CREATE FUNCTION venice.create_store(store text, key text, value text, server text DEFAULT NULL, options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_store';
COMMENT ON FUNCTION venice.create_store(text, text, text, text, jsonb) IS
    'Make a store: a schema with an empty current version and its functions. key and value are column lists or Avro schemas.';

CREATE FUNCTION venice.alter_store(store text, options jsonb DEFAULT '{}', value text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_store';
COMMENT ON FUNCTION venice.alter_store(text, jsonb, text) IS
    'Change options (JSON null resets one to its default) or, compatibly, the value columns: new ones at once, others from the next version.';

CREATE FUNCTION venice.drop_store(store text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_store';
COMMENT ON FUNCTION venice.drop_store(text, boolean) IS
    'Drop a store and all its versions. force: also while a push runs, and with what depends on it.';

CREATE FUNCTION venice.register_value_schema(store text, schema text, schema_id integer DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_register_value_schema';
COMMENT ON FUNCTION venice.register_value_schema(text, text, integer) IS
    'Make a writer''s schema known by its id, for a store whose records are Confluent-framed, without asking a registry.';

CREATE FUNCTION venice.rebuild_functions(store text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_rebuild_functions';
COMMENT ON FUNCTION venice.rebuild_functions(text) IS
    'Make a store''s generated functions anew, with the privileges they have.';

CREATE FUNCTION venice.start_push(store text, push_id text DEFAULT NULL, options jsonb DEFAULT '{}', OUT version integer, OUT schema name)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'venice_start_push';
COMMENT ON FUNCTION venice.start_push(text, text, jsonb) IS
    'Begin a push: a new version, to be filled through its schema''s records or from its topic. The same push id twice is one push.';

CREATE FUNCTION venice.end_push(store text, version integer DEFAULT NULL, swap boolean DEFAULT true)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_end_push';
COMMENT ON FUNCTION venice.end_push(text, integer, boolean) IS
    'Finish a push and return the version''s state. Of a push through SQL: build, check and swap, here and now. Through Kafka: fix the end of the topic; wait with CALL venice.wait_for_push.';

CREATE FUNCTION venice.abort_push(store text, version integer DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_abort_push';
COMMENT ON FUNCTION venice.abort_push(text, integer) IS
    'Stop a push and drop its version; returns when no worker touches it any more.';

CREATE PROCEDURE venice.wait_for_push(store text, version integer DEFAULT NULL, timeout interval DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'venice_wait_for_push';
COMMENT ON PROCEDURE venice.wait_for_push(text, integer, interval) IS
    'Wait until a push is finished, with its progress as NOTICEs. Raises the push''s own error if it failed, 57014 after the timeout (the push goes on).';

CREATE FUNCTION venice.incremental_push(store text, query text, push_id text DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_incremental_push';
COMMENT ON FUNCTION venice.incremental_push(text, text, text) IS
    'Put the rows of a query into every complete version; keys that it does not have stay.  Returns the push id.';

CREATE FUNCTION venice.repush(store text, query text DEFAULT NULL, options jsonb DEFAULT '{}')
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_repush';
COMMENT ON FUNCTION venice.repush(text, text, jsonb) IS
    'Push the rows of a query over the current version, which it knows as "current"; without one all of them.  Returns the version.';

CREATE FUNCTION venice.push(store text, query text, push_id text DEFAULT NULL, options jsonb DEFAULT '{}')
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_push';
COMMENT ON FUNCTION venice.push(text, text, text, jsonb) IS
    'Start a push, fill it with the rows of a query (keys, then values), and end it, in one transaction. Returns the version.';

CREATE FUNCTION venice.swap_version(store text, version integer)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_swap_version';
COMMENT ON FUNCTION venice.swap_version(text, integer) IS
    'Make a ready or earlier version current.';

CREATE FUNCTION venice.rollback_version(store text, version integer DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_rollback_version';
COMMENT ON FUNCTION venice.rollback_version(text, integer) IS
    'Make a backup current again, the newest one unless a version is given, and return its number.';

CREATE FUNCTION venice.drop_version(store text, version integer)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_version';
COMMENT ON FUNCTION venice.drop_version(text, integer) IS
    'Drop a version that is not current and not being pushed.';

CREATE FUNCTION venice.warm(store text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_warm';
COMMENT ON FUNCTION venice.warm(text) IS
    'Read the rows of the current version into shared memory, as many as fit, and return how many are there.';

CREATE FUNCTION venice_internal.refuse_direct_dml()
    RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_refuse_direct_dml';
COMMENT ON FUNCTION venice_internal.refuse_direct_dml() IS
    'Guards the records of a complete version against plain DML.';

CREATE FUNCTION venice_internal.refuse_server_drop()
    RETURNS event_trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_refuse_server_drop';
COMMENT ON FUNCTION venice_internal.refuse_server_drop() IS
    'Keeps a foreign server that stores are filled from.';
CREATE EVENT TRIGGER venice_server_drop ON sql_drop WHEN TAG IN ('DROP SERVER', 'DROP OWNED')
    EXECUTE FUNCTION venice_internal.refuse_server_drop();
COMMENT ON EVENT TRIGGER venice_server_drop IS 'Keeps foreign servers that stores are filled from.';

CREATE FUNCTION venice_internal.effective_options(options jsonb)
    RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_effective_options';
COMMENT ON FUNCTION venice_internal.effective_options(jsonb) IS
    'A store''s options with defaults filled in.';

CREATE FUNCTION venice_internal.is_store_member(store name)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_is_store_member';
COMMENT ON FUNCTION venice_internal.is_store_member(name) IS
    'Has the current user the rights of the store''s owner? Of a store without a schema: of the database''s owner.';

CREATE FUNCTION venice_internal.can_see_statistics(store name)
    RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
        SELECT venice_internal.is_store_member(store) OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
    END;
COMMENT ON FUNCTION venice_internal.can_see_statistics(name) IS
    'May the current user see the store''s statistics?';
