-- The feature registry's tables.  The same rules as in tables.sql: singular and internal, no row confers a right, no dumped
-- column holds a bare OID, no foreign keys.  Whoever reads a view's rows or a service's answers is decided by the owner
-- and the privileges of its schema; an owner's name is kept here only for what has no schema.
-- Names are unique in a project, and views and services share one namespace there.

CREATE TABLE venice.project (
    project name NOT NULL PRIMARY KEY,
    owner_name name NOT NULL,
    options jsonb NOT NULL,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        project::text, options ->> 'description', options ->> 'tags', owner_name::text)) STORED
);
COMMENT ON TABLE venice.project IS 'Teams: who is a member of a project''s owner sees its entries.  "default" has no row until somebody alters it.';

CREATE TABLE venice.entity (
    project name NOT NULL,
    entity name NOT NULL,
    owner_name name NOT NULL,
    key_names name[] NOT NULL,
    key_types text[] NOT NULL,
    options jsonb NOT NULL,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        entity::text, options ->> 'description', options ->> 'tags', owner_name::text)) STORED,
    PRIMARY KEY (project, entity)
);
COMMENT ON TABLE venice.entity IS 'What features are about: typed key columns, in order.';

CREATE TABLE venice.source (
    project name NOT NULL,
    source name NOT NULL,
    owner_name name NOT NULL,
    relation regclass,
    store_name name,
    server_name name,
    topic text,
    event_time text,
    created_time_column text,
    options jsonb NOT NULL,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        source::text, options ->> 'description', options ->> 'tags', owner_name::text)) STORED,
    PRIMARY KEY (project, source)
);
COMMENT ON TABLE venice.source IS 'Where feature values come from: exactly one of a relation, a store, and a topic of a server.';
COMMENT ON COLUMN venice.source.event_time IS 'The column, or field of a record, that says when a value became true.';
COMMENT ON COLUMN venice.source.created_time_column IS 'The column, or field, that says when a row came to be known.';

CREATE TABLE venice.feature_view (
    project name NOT NULL,
    view_name name NOT NULL,
    view_version integer NOT NULL,
    kind text NOT NULL,
    owner_name name NOT NULL,
    entities text[] NOT NULL,
    source text,
    features text,
    inputs text[],
    request text,
    ttl interval,
    window_length interval,
    online boolean NOT NULL,
    offline boolean NOT NULL,
    store_name name,
    owns_store boolean NOT NULL,
    options jsonb NOT NULL,
    deprecated_until timestamptz,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        view_name::text, options ->> 'description', options ->> 'tags', owner_name::text)) STORED,
    PRIMARY KEY (project, view_name, view_version)
);
COMMENT ON TABLE venice.feature_view IS 'One row per view version: a definition, of kind "feature", "on_demand" or "label".';
COMMENT ON COLUMN venice.feature_view.entities IS 'Entities as <project>.<entity>, in the order of the keys; of an on-demand view those of its inputs.';
COMMENT ON COLUMN venice.feature_view.source IS 'Source as <project>.<source>; NULL for an on-demand view.';
COMMENT ON COLUMN venice.feature_view.features IS 'The select list, or the expressions of an on-demand view, as they were written; NULL where options.aggregations makes the features.';
COMMENT ON COLUMN venice.feature_view.inputs IS 'Features that an on-demand view computes from, as <project>.<view>@<n>:<feature>.';
COMMENT ON COLUMN venice.feature_view.request IS 'Column list of what a caller of an on-demand view has to give.';
COMMENT ON COLUMN venice.feature_view.store_name IS 'The store that holds its online values.';
COMMENT ON COLUMN venice.feature_view.owns_store IS 'The store was made with the view version, and goes with it.';
COMMENT ON COLUMN venice.feature_view.deprecated_until IS 'When the notice period of a deprecated view version is over.';
CREATE INDEX feature_view_inputs ON venice.feature_view USING gin (inputs);
CREATE INDEX feature_view_search ON venice.feature_view USING gin (search_words);
CREATE INDEX feature_view_store ON venice.feature_view (store_name);
CREATE INDEX feature_view_source ON venice.feature_view (
    (pg_catalog.split_part(source, '.', 1)::name), (pg_catalog.split_part(source, '.', 2)::name));

CREATE TABLE venice.feature (
    project name NOT NULL,
    view_name name NOT NULL,
    view_version integer NOT NULL,
    position integer NOT NULL,
    feature name NOT NULL,
    feature_type text NOT NULL,
    expression text NOT NULL,
    source_columns text[] NOT NULL,
    options jsonb NOT NULL,
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        feature::text, options ->> 'description', options ->> 'tags', view_name::text)) STORED,
    PRIMARY KEY (project, view_name, view_version, feature)
);
CREATE INDEX feature_search ON venice.feature USING gin (search_words);
COMMENT ON TABLE venice.feature IS 'The features of each view version, derived from its definition.';
COMMENT ON COLUMN venice.feature.feature_type IS 'The type with modifiers, qualified where needed.';
COMMENT ON COLUMN venice.feature.expression IS 'SQL over the columns of the source, or over inputs and request columns, with every name qualified; of an aggregated feature that of the values.';
COMMENT ON COLUMN venice.feature.source_columns IS 'The columns of the source that the expression reads; of an on-demand view its inputs, as in feature_view.inputs.';
COMMENT ON COLUMN venice.feature.options IS 'What is said of this feature alone: description, tags, aggregation.';

CREATE TABLE venice.service (
    project name NOT NULL,
    service name NOT NULL,
    schema_name name NOT NULL,
    features text[] NOT NULL,
    keys jsonb NOT NULL,
    options jsonb NOT NULL,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    search_words tsvector GENERATED ALWAYS AS (venice_internal.search_words(
        service::text, options ->> 'description', options ->> 'tags', COALESCE(options ->> 'model', ''))) STORED,
    PRIMARY KEY (project, service)
);
COMMENT ON TABLE venice.service IS 'What a model reads, in order.  Its owner is the owner of its schema and is kept nowhere else.';
COMMENT ON COLUMN venice.service.features IS 'As they were written.';
COMMENT ON COLUMN venice.service.keys IS 'Arguments of its functions, in order: array of {name, type, request}.';

CREATE TABLE venice.service_feature (
    project name NOT NULL,
    service name NOT NULL,
    position integer NOT NULL,
    output_name name NOT NULL,
    output_type text NOT NULL,
    view_project name NOT NULL,
    view_name name NOT NULL,
    view_version integer NOT NULL,
    feature name NOT NULL,
    alias name NOT NULL,
    keys jsonb NOT NULL,
    default_value text,
    PRIMARY KEY (project, service, position)
);
COMMENT ON TABLE venice.service_feature IS 'The features of each service, with the types that were pinned when it was made.';
COMMENT ON COLUMN venice.service_feature.alias IS 'The name of the join: of the view, unless options.joins says otherwise.';
COMMENT ON COLUMN venice.service_feature.keys IS 'Key column of the view''s entities to argument of the service.';
COMMENT ON COLUMN venice.service_feature.default_value IS 'What stands for a value that is not present, as text of its type.';
CREATE INDEX service_feature_view ON venice.service_feature (view_project, view_name, view_version);

CREATE TABLE venice.service_schema (
    project name NOT NULL,
    service name NOT NULL,
    schema_oid oid NOT NULL,
    system_identifier bigint NOT NULL DEFAULT venice_internal.system_identifier(),
    PRIMARY KEY (project, service)
);
COMMENT ON TABLE venice.service_schema IS
    'Which schema is a service''s own, as others may come to have its name.  Not dumped: where there is no row of this server''s, the name says it.';

CREATE TABLE venice.training_set (
    relation regclass NOT NULL PRIMARY KEY,
    parts jsonb NOT NULL,
    features text[] NOT NULL,
    event_time text NOT NULL,
    options jsonb NOT NULL,
    spine_columns text[] NOT NULL,
    feature_columns text[] NOT NULL,
    used_features text[] NOT NULL,
    services text[] NOT NULL,
    statistics jsonb NOT NULL,
    created_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE venice.training_set IS
    'How training sets were made.  One is an ordinary table: its owner is the table''s, and its row goes with the table.';
COMMENT ON COLUMN venice.training_set.parts IS
    'What its rows were made of: array of {spine, settings, rows, snapshot, time}; the first made it, the others extended it.';
COMMENT ON COLUMN venice.training_set.features IS 'As they were written, with projects and view versions but for aliases.';
COMMENT ON COLUMN venice.training_set.used_features IS
    'What each of feature_columns comes from, as <project>.<view>@<n>:<feature>.';
COMMENT ON COLUMN venice.training_set.services IS 'Services among the features, as <project>.<service>.';
COMMENT ON COLUMN venice.training_set.statistics IS 'Of its columns when it was last changed: column to {nulls, …}.';
CREATE INDEX training_set_features ON venice.training_set USING gin (used_features);

CREATE TABLE venice.audit_entry (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_time timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    role_name name NOT NULL,
    session_role_name name NOT NULL DEFAULT session_user,
    action text NOT NULL,
    kind text NOT NULL,
    project name,
    name text NOT NULL,
    owner_name name,
    before jsonb,
    after jsonb
);
COMMENT ON TABLE venice.audit_entry IS
    'Every change of the registry: from which definition to which.  Only added to, and deleted from by age (venice.audit_retention).';
CREATE INDEX audit_entry_time ON venice.audit_entry (changed_time);
CREATE INDEX audit_entry_name ON venice.audit_entry (name, audit_id);

CREATE TABLE venice.served_feature (
    served_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_oid oid NOT NULL,
    request_time timestamptz NOT NULL,
    arguments jsonb NOT NULL,
    features jsonb NOT NULL,
    status jsonb,
    system_identifier bigint NOT NULL DEFAULT venice_internal.system_identifier()
);
COMMENT ON TABLE venice.served_feature IS
    'A sample of what services have answered, bounded by venice.served_log_retention and venice.served_log_rows.  Not dumped.';
COMMENT ON COLUMN venice.served_feature.schema_oid IS 'Of the service''s schema: another service of the name is another one.';
CREATE INDEX served_feature_time ON venice.served_feature (request_time);

CREATE TABLE venice.registry_change (
    changes bigint NOT NULL
);
COMMENT ON TABLE venice.registry_change IS
    'One row, which every change of the registry updates: in REPEATABLE READ one that is based on what is no longer so fails.  Not dumped.';
INSERT INTO venice.registry_change VALUES (0);

GRANT SELECT, INSERT ON venice.project, venice.entity, venice.source, venice.feature_view, venice.feature, venice.service,
    venice.service_feature, venice.training_set, venice.audit_entry TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE venice.audit_entry_audit_id_seq TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('venice.project', '');
SELECT pg_catalog.pg_extension_config_dump('venice.entity', '');
SELECT pg_catalog.pg_extension_config_dump('venice.source', '');
SELECT pg_catalog.pg_extension_config_dump('venice.feature_view', '');
SELECT pg_catalog.pg_extension_config_dump('venice.feature', '');
SELECT pg_catalog.pg_extension_config_dump('venice.service', '');
SELECT pg_catalog.pg_extension_config_dump('venice.service_feature', '');
SELECT pg_catalog.pg_extension_config_dump('venice.training_set', '');
SELECT pg_catalog.pg_extension_config_dump('venice.audit_entry', '');
SELECT pg_catalog.pg_extension_config_dump('venice.audit_entry_audit_id_seq', '');
