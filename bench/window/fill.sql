-- Events of random keys at random times within 90 days, as they arrive, and moments to be asked for.
-- "events" has the index that plain SQL wants, "bare" has none.
SELECT venice.drop_entity('keys', true), venice.drop_source('events'), venice.drop_source('bare')
 WHERE EXISTS (SELECT FROM venice.entities WHERE name = 'keys');
DROP TABLE IF EXISTS events, bare, queries;
SELECT setseed(0.5);
CREATE TABLE events AS
    SELECT floor(random() * :keys)::integer AS k, timestamptz '2026-01-01' + i * (interval '90 days' / :events) AS t, random() * 100 AS x
      FROM generate_series(1, :events) AS i;
CREATE TABLE bare AS TABLE events;
CREATE TABLE queries AS
    SELECT i AS id, floor(random() * :keys)::integer AS k, timestamptz '2026-01-01' + random() * interval '90 days' AS event_time
      FROM generate_series(1, :queries) AS i;
CREATE INDEX ON events (k, t DESC) INCLUDE (x);
VACUUM (FREEZE, ANALYZE) events, bare, queries;
SELECT venice.create_entity('keys', 'k integer');
SELECT venice.create_source(name, relation => name::regclass, event_time => 't'),
       venice.create_feature_view(name || '_view', '{keys}', name, online => false, options => jsonb_build_object('aggregations',
           (SELECT jsonb_agg(jsonb_build_object('name', f || '_' || w, 'function', f, 'column', 'x', 'window', w || ' days'))
              FROM unnest('{sum,count,avg,min,max}'::text[]) AS f, unnest('{1,7,30}'::integer[]) AS w)))
  FROM unnest('{events,bare}'::text[]) AS name;
