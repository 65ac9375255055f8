-- The registry's tables.  Singular and internal: people read the views (views.sql).  No row here confers a right, and no
-- dumped column holds a bare OID.  A store's owner is the owner of its schema and is kept nowhere else.
-- No foreign keys: pg_restore --jobs loads the tables in any order.

CREATE FUNCTION venice_internal.search_words(name text, description text, tags text, place text DEFAULT '')
    RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.setweight(pg_catalog.to_tsvector('pg_catalog.simple',
               pg_catalog.regexp_replace(name, '[^[:alnum:]]+', ' ', 'g')), 'A') ||
           pg_catalog.setweight(pg_catalog.to_tsvector('pg_catalog.simple',
               pg_catalog.regexp_replace(COALESCE(description, ''), '[^[:alnum:]]+', ' ', 'g')), 'B') ||
           pg_catalog.setweight(pg_catalog.to_tsvector('pg_catalog.simple',
               pg_catalog.regexp_replace(COALESCE(tags, ''), '[^[:alnum:]]+', ' ', 'g')), 'C') ||
           pg_catalog.setweight(pg_catalog.to_tsvector('pg_catalog.simple',
               pg_catalog.regexp_replace(place, '[^[:alnum:]]+', ' ', 'g')), 'D');
END;
COMMENT ON FUNCTION venice_internal.search_words(text, text, text, text) IS
    'What search finds an entry by; place is where it belongs: owner, view, model.';

CREATE TABLE venice.store (
    store_name name NOT NULL PRIMARY KEY,
    server_name name,
    key_schema text,
    value_schema text,
    options jsonb NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    last_version integer NOT NULL DEFAULT 0,
    generation bigint NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(store_name::text, NULL, NULL)) STORED
);
COMMENT ON TABLE venice.store IS 'One row per store: what its next version will be made of.';
COMMENT ON COLUMN venice.store.key_schema IS 'Avro schema that the key columns were made from; NULL when they were declared.';
COMMENT ON COLUMN venice.store.value_schema IS 'Avro schema that the value columns were made from; NULL when they were declared.';
COMMENT ON COLUMN venice.store.options IS 'Options that were set; defaults are not filled in.';
COMMENT ON COLUMN venice.store.generation IS
    'Counts changes of the store''s versions, so that who acts on an old snapshot of them fails to lock the row.';
COMMENT ON COLUMN venice.store.last_version IS 'Highest version number given out; numbers are never used again.';

CREATE TABLE venice.store_column (
    store_name name NOT NULL,
    position integer NOT NULL,
    column_name name NOT NULL,
    is_key boolean NOT NULL,
    column_type text NOT NULL,
    not_null boolean NOT NULL,
    default_expression text,
    source_type text,
    PRIMARY KEY (store_name, position),
    UNIQUE (store_name, column_name)
);
COMMENT ON TABLE venice.store_column IS 'Columns of a store''s next version, keys first.';

CREATE TABLE venice.store_version (
    store_name name NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    origin text NOT NULL,
    push_id text NOT NULL,
    swap boolean NOT NULL DEFAULT true,
    options jsonb NOT NULL,
    key_schema text,
    value_schema text,
    topic text,
    end_requested boolean NOT NULL DEFAULT false,
    end_requested_time timestamptz,
    attachments jsonb,
    rows bigint,
    started_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    ended_time timestamptz,
    swapped_time timestamptz,
    sqlstate text,
    error text,
    detail text,
    PRIMARY KEY (store_name, version)
);
COMMENT ON TABLE venice.store_version IS 'One row per version that exists or failed last; written by the version room only.';
COMMENT ON COLUMN venice.store_version.options IS 'The store''s effective options when the push started.';
COMMENT ON COLUMN venice.store_version.end_requested_time IS 'What the rewind of real-time topics is counted from.';
COMMENT ON COLUMN venice.store_version.attachments IS
    'Indexes, constraints, triggers and statistics that the version has because the current one had them: kind and name to definition.';
COMMENT ON COLUMN venice.store_version.swap IS 'False: a deferred swap, which waits for venice.swap_version.';

CREATE TABLE venice.push (
    store_name name NOT NULL,
    push_id text NOT NULL,
    version integer NOT NULL,
    origin text NOT NULL,
    state text NOT NULL,
    started_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    ended_time timestamptz,
    started_by name NOT NULL DEFAULT current_user,
    rows bigint,
    rejected bigint NOT NULL DEFAULT 0,
    error text,
    ended_partitions integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (store_name, push_id)
);
COMMENT ON TABLE venice.push IS 'One row per push, kept after its version is gone.';
COMMENT ON COLUMN venice.push.ended_partitions IS
    'Of an incremental push through a real-time topic: the partitions in which its end was read.';

CREATE TABLE venice.version_pointer (
    store_name name NOT NULL PRIMARY KEY,
    version integer NOT NULL,
    records oid NOT NULL,
    swap_xid xid8 NOT NULL
) WITH (fillfactor = 25, autovacuum_vacuum_threshold = 10, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE venice.version_pointer IS
    'Which version is current.  Only the store''s name is indexed, so that a swap is a HOT update.  Not dumped: rebuilt from venice.store_version.';
COMMENT ON COLUMN venice.version_pointer.records IS
    'The current version''s table, and so its schema: one of the store''s name that somebody makes after it was dropped by hand confers nothing.  pg_upgrade keeps the OIDs of tables, not of schemas.';

CREATE TABLE venice.version_table (
    store_name name NOT NULL,
    version integer NOT NULL,
    records oid NOT NULL,
    PRIMARY KEY (store_name, version)
);
COMMENT ON TABLE venice.version_table IS
    'The table that was made for a version: another of its name, in a schema that somebody else made after the version''s was dropped by hand, is not it.  Not dumped: made again with the pointer.';

CREATE TABLE venice.left_version (
    store_name name NOT NULL,
    version integer NOT NULL,
    left_xid xid8 NOT NULL,
    transactions text[],
    PRIMARY KEY (store_name, version)
);
COMMENT ON TABLE venice.left_version IS
    'The swap that made a version a backup: it is not dropped while a transaction from before can reach it.  Not dumped: none outlives a restore.';
COMMENT ON COLUMN venice.left_version.transactions IS
    'Virtual ids of the transactions that may have begun before the swap was over and still run; NULL: nobody has looked yet.';

CREATE TABLE venice.lagging_view (
    store_name name NOT NULL,
    version integer NOT NULL,
    view oid NOT NULL,
    error text,
    PRIMARY KEY (store_name, version, view)
);
COMMENT ON TABLE venice.lagging_view IS
    'A view over the current version that a swap left behind.  Not dumped: a restored view keeps the version that it names.';
COMMENT ON COLUMN venice.lagging_view.error IS 'Why it does not fit the version after; NULL: it is to be made again.';

CREATE TABLE venice.partition_state (
    store_name name NOT NULL,
    version integer NOT NULL,
    region integer NOT NULL DEFAULT -1,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint,
    end_offset bigint,
    done boolean NOT NULL DEFAULT false,
    joined boolean NOT NULL DEFAULT false,
    error text,
    loaded_through tid,
    messages bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    tombstones bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    batches bigint NOT NULL DEFAULT 0,
    last_record_time timestamptz,
    last_message_time timestamptz,
    last_commit_time timestamptz,
    PRIMARY KEY (store_name, version, region, topic, partition)
) WITH (fillfactor = 25, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE venice.partition_state IS
    'How far each partition of a version is ingested: written in the transaction that writes its rows, so that both are true or neither.';
COMMENT ON COLUMN venice.partition_state.version IS '-1: the store''s history, to which real-time topics are appended once, whatever versions there are.';
COMMENT ON COLUMN venice.partition_state.region IS '-1: the version topic, which is loaded; else the place of a real-time topic in the store''s option, from 0.';
COMMENT ON COLUMN venice.partition_state.next_offset IS 'NULL: from the beginning of the partition, or of the rewind of a real-time topic.';
COMMENT ON COLUMN venice.partition_state.joined IS 'The version has caught up with the real-time topic, and is written to together with the store''s others.';
COMMENT ON COLUMN venice.partition_state.error IS 'Why it is not, although it was.';
COMMENT ON COLUMN venice.partition_state.loaded_through IS 'The last row that this partition loaded; what a tombstone of it reaches back to.';
COMMENT ON COLUMN venice.partition_state.last_record_time IS
    'The record''s own timestamp of the last record, that before next_offset: another one there is another topic of the same name.';
COMMENT ON COLUMN venice.partition_state.last_message_time IS 'When the first record of the last batch came from Kafka.';

CREATE UNLOGGED TABLE venice.unlogged_partition_state (
    LIKE venice.partition_state INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMMENTS,
    PRIMARY KEY (store_name, version, region, topic, partition)
) WITH (fillfactor = 25, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE venice.unlogged_partition_state IS
    'The same for unlogged versions: a crash empties it together with their rows.';

CREATE UNLOGGED TABLE venice.unlogged_version (
    store_name name NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (store_name, version)
);
COMMENT ON TABLE venice.unlogged_version IS
    'One row per unlogged version.  A crash empties this table too, so that a version without its row is known to be lost, not empty.';

CREATE TABLE venice.rejected_record (
    store_name name NOT NULL,
    version integer NOT NULL,
    region integer NOT NULL DEFAULT -1,
    topic text NOT NULL,
    partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    record_time timestamptz,
    key bytea,
    value bytea,
    sqlstate text NOT NULL,
    error text NOT NULL,
    rejected_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (store_name, version, region, topic, partition, kafka_offset)
);
COMMENT ON TABLE venice.rejected_record IS 'Records that could not be decoded or stored; kept for venice.rejected_record_retention.';
CREATE INDEX rejected_record_time ON venice.rejected_record (rejected_time);

CREATE TABLE venice.registry_schema (
    registry_url text NOT NULL,
    schema_id integer NOT NULL,
    texts text[] NOT NULL,
    fetched_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (registry_url, schema_id)
);
COMMENT ON TABLE venice.registry_schema IS
    'Schemas by registry and id, references first.  An id never changes its meaning, so that a node restarts without the registry.';

CREATE TABLE venice.store_schema (
    store_name name NOT NULL,
    schema_id integer NOT NULL,
    schema text NOT NULL,
    PRIMARY KEY (store_name, schema_id)
);
COMMENT ON TABLE venice.store_schema IS
    'Writers'' schemas that a store''s owner made known himself; they come before the registry''s, for his store only.';

CREATE TABLE venice.store_stat (
    store_name name NOT NULL PRIMARY KEY,
    reads bigint NOT NULL DEFAULT 0,
    keys bigint NOT NULL DEFAULT 0,
    rows_inserted bigint NOT NULL DEFAULT 0,
    rows_updated bigint NOT NULL DEFAULT 0,
    rows_deleted bigint NOT NULL DEFAULT 0,
    pushes bigint NOT NULL DEFAULT 0,
    swaps bigint NOT NULL DEFAULT 0,
    rollbacks bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    produced bigint NOT NULL DEFAULT 0,
    stats_reset timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE venice.store_stat IS 'Counters over all versions: those of pg_stat_user_tables start at zero with each swap.';
COMMENT ON COLUMN venice.store_stat.reads IS 'Look-ups in versions that have been dropped.';
COMMENT ON COLUMN venice.store_stat.keys IS 'Rows found in versions that have been dropped.';
COMMENT ON COLUMN venice.store_stat.produced IS 'Writes through SQL that were produced to the store''s real-time topic.';

CREATE TABLE venice.node (
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    enabled_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE venice.node IS
    'The server and database that ingestion was enabled on.  Not dumped: a restored or copied database does not ingest until venice.resume_ingestion().';

CREATE TABLE venice.compacted_partition (
    store_name name NOT NULL,
    partition_name name NOT NULL,
    compacted_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    pages bigint NOT NULL,
    PRIMARY KEY (store_name, partition_name)
);
COMMENT ON TABLE venice.compacted_partition IS
    'Partitions of histories whose rows lie in the order of keys: how many pages they were then, so that it is known how many have come since.';

CREATE TABLE venice.arrival_base (
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    base bigint NOT NULL,
    PRIMARY KEY (system_identifier, database_oid)
);
COMMENT ON TABLE venice.arrival_base IS
    'What is added to the arrivals of rows of histories that are written here.  Not dumped: found anew, so that they come after those that were restored.';

CREATE TABLE venice.expiry_look (
    store_name name NOT NULL,
    version integer NOT NULL,
    next_time timestamptz NOT NULL,
    PRIMARY KEY (store_name, version)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE venice.expiry_look IS
    'When a version of a store with a ttl is looked through next for rows that have expired; infinity: it does not know when they were written.  Not dumped: looked through at once.';

-- A dump by the database's owner reads and restores the registry; nobody else touches the tables.
GRANT SELECT, INSERT ON venice.store, venice.store_column, venice.store_version, venice.push, venice.partition_state,
    venice.rejected_record, venice.registry_schema, venice.store_schema, venice.store_stat,
    venice.compacted_partition TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('venice.store', '');
SELECT pg_catalog.pg_extension_config_dump('venice.store_column', '');
SELECT pg_catalog.pg_extension_config_dump('venice.store_version', '');
SELECT pg_catalog.pg_extension_config_dump('venice.push', '');
SELECT pg_catalog.pg_extension_config_dump('venice.partition_state', '');
SELECT pg_catalog.pg_extension_config_dump('venice.rejected_record', '');
SELECT pg_catalog.pg_extension_config_dump('venice.registry_schema', '');
SELECT pg_catalog.pg_extension_config_dump('venice.store_schema', '');
SELECT pg_catalog.pg_extension_config_dump('venice.store_stat', '');
SELECT pg_catalog.pg_extension_config_dump('venice.compacted_partition', '');

CREATE FUNCTION venice_internal.node_is_known()
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_node_is_known';
COMMENT ON FUNCTION venice_internal.node_is_known() IS
    'Is this the server and database that ingestion was enabled on?';

CREATE FUNCTION venice_internal.system_identifier()
    RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_system_identifier';
COMMENT ON FUNCTION venice_internal.system_identifier() IS
    'Of this server: pg_upgrade makes one with another, and with other OIDs of schemas.';
