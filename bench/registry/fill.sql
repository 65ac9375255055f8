-- A registry of 10,000 views with 100,000 features of two teams, 1,000 on-demand views and 1,000 services, written straight into the
-- tables: what is measured is reading it.
CREATE ROLE bench_team;
CREATE ROLE bench_other;
CREATE ROLE bench_stranger;
CREATE TABLE public.bench_events (id bigint, c1 float8, c2 float8, c3 float8, c4 float8, c5 float8, c6 float8, c7 float8, c8 float8,
    c9 float8, c10 float8, at timestamptz);

CREATE TEMP TABLE word AS
    SELECT ordinality - 1 AS n, word FROM regexp_split_to_table(
        'account airport amount arrival average balance basket booking bounce browser budget campaign cancel carrier category channel '
        'charge checkout city click country coupon credit customer daily debit decline delay delivery departure device discount '
        'distance driver duration email engagement error failure flight fraud frequency gate hotel hourly impression income inventory '
        'item journey kilometre language latency latitude listing location login loyalty margin merchant message mobile monthly network '
        'notification offer order origin outbound partner passenger payment penalty phone playlist position price product profile '
        'purchase query queue rating recency refund region request response restaurant return revenue review rider risk route score '
        'search seat seller session shipment signup station status store stream subscription supplier support surge tariff taxi temperature ticket '
        'timezone topic transaction transfer traveller trip uplift user vehicle vendor video visit volume wallet warehouse weather '
        'weekly widget wind yield zone', ' ') WITH ORDINALITY AS w (word, ordinality);
CREATE TEMP TABLE words AS SELECT array_agg(word ORDER BY n) AS w, count(*)::integer AS c FROM word;

INSERT INTO venice.project (project, owner_name, options) VALUES ('team', 'bench_team', '{}'), ('other', 'bench_other', '{}');
INSERT INTO venice.entity (project, entity, owner_name, key_names, key_types, options)
SELECT p.project, 'e' || n, p.owner_name, '{id}', '{bigint}', '{}' FROM venice.project p, generate_series(1, 50) n;
INSERT INTO venice.source (project, source, owner_name, relation, event_time, options)
SELECT p.project, 's' || n, p.owner_name, 'public.bench_events', 'at', '{}' FROM venice.project p, generate_series(1, 500) n;

INSERT INTO venice.feature_view (project, view_name, view_version, kind, owner_name, entities, source, features, online, offline,
                                 store_name, owns_store, options)
SELECT p.project, w[n * 7 % c + 1] || '_' || w[n * 11 % c + 1] || '_' || n, 1, 'feature', p.owner_name,
       ARRAY[p.project || '.e' || n % 50 + 1], p.project || '.s' || n % 500 + 1, '*', true, true,
       left(p.project || '_' || w[n * 7 % c + 1] || '_' || w[n * 11 % c + 1] || '_' || n, 48), true,
       jsonb_build_object('description', format('%s and %s by %s', w[n * 13 % c + 1], w[n * 17 % c + 1], w[n * 19 % c + 1]),
                          'tags', jsonb_build_object('tier', w[n % 5 + 1]))
  FROM venice.project p, words, generate_series(1, 5000) n;
INSERT INTO venice.feature (project, view_name, view_version, position, feature, feature_type, expression, source_columns, options)
SELECT v.project, v.view_name, 1, i, w[(i * 31 + hashtext(v.view_name) & 65535) % c + 1] || '_' || w[(i * 37 + hashtext(v.view_name) & 65535) % c + 1] || '_' || i,
       'double precision', split_part(v.source, '.', 2) || '.c' || i, ARRAY['c' || i],
       jsonb_build_object('description', format('%s per %s', w[(i * 41 + hashtext(v.view_name) & 65535) % c + 1], w[(i * 43 + hashtext(v.view_name) & 65535) % c + 1]))
  FROM venice.feature_view v, words, generate_series(1, 10) i;

INSERT INTO venice.feature_view (project, view_name, view_version, kind, owner_name, entities, features, inputs, online, offline, owns_store, options)
SELECT f.project, 'ratio_' || row_number() OVER (), 1, 'on_demand', v.owner_name, v.entities, 'a / b AS ratio',
       ARRAY[f.project || '.' || f.view_name || '@1:' || f.feature], true, true, false, '{}'
  FROM venice.feature f JOIN venice.feature_view v USING (project, view_name, view_version)
 WHERE f.position = 1 AND hashtext(f.view_name) % 10 = 0;
INSERT INTO venice.feature (project, view_name, view_version, position, feature, feature_type, expression, source_columns, options)
SELECT project, view_name, 1, 1, 'ratio', 'double precision', 'a / b', inputs, '{}' FROM venice.feature_view WHERE kind = 'on_demand';

INSERT INTO venice.service (project, service, schema_name, features, keys, options)
SELECT p.project, 'model_' || n, p.project || '_model_' || n, '{}', '[{"name": "id", "type": "bigint"}]',
       jsonb_build_object('model', 'm' || n, 'model_version', '1')
  FROM venice.project p, generate_series(1, 500) n;
INSERT INTO venice.service_feature (project, service, position, output_name, output_type, view_project, view_name, view_version,
                                    feature, alias, keys)
SELECT v.project, 'model_' || v.n % 500 + 1, v.n * 10 + f.position, f.feature, f.feature_type, f.project, f.view_name, 1, f.feature,
       f.view_name, '{"id": "id"}'
  FROM (SELECT project, view_name, row_number() OVER (PARTITION BY project ORDER BY view_name) AS n
          FROM venice.feature_view WHERE kind = 'feature') v
  JOIN venice.feature f USING (project, view_name)
 WHERE v.n <= 2500;
ANALYZE venice.project, venice.entity, venice.source, venice.feature_view, venice.feature, venice.service, venice.service_feature;
