-- Theme: rows expire, and a repush leaves out what has.
SET client_min_messages = warning;
-- A worker that has looked just before a write was committed comes again in a minute: here it looks again at once.
\set maintain 'DELETE FROM venice.expiry_look; CALL venice.run_maintenance();'
CREATE FUNCTION ago(text) RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now() - $1::interval';

-- What is written expires; what a push has brought does not, nor what was written lately.
SELECT venice.create_store('fresh', 'id int', 'v int, t text', options => '{"ttl": "1 day", "rewind": "7 days"}');
SELECT venice.push('fresh', 'SELECT g, 0, ''pushed'' FROM generate_series(1, 2) g');
BEGIN;
SELECT fresh.put(2, 2, 'old', ago('2 days')), fresh.put(3, 3, 'old', ago('25 hours')), fresh.put(4, 4, 'new', ago('23 hours')), fresh.put(5, 5, 'old', ago('2 days')),
       fresh.update(5, '{"v": 50}');
SELECT fresh.put(6, 6, 'new'), fresh.update(6, '{"v": 7}', ago('2 days'));
SELECT id, r.* FROM generate_series(1, 6) id, fresh.get(id) r ORDER BY 1;
COMMIT;
:maintain
SELECT id, r.* FROM generate_series(1, 6) id, fresh.get(id) r ORDER BY 1;

-- In every complete version, and it does not come back with the next push, although the log is written again to that.
SELECT venice.push('fresh', 'SELECT g, 0, ''pushed again'' FROM generate_series(1, 2) g');
SELECT id, v, t FROM fresh.records ORDER BY 1;
BEGIN;
SELECT fresh.put(7, 7, 'old', ago('2 days'));
SELECT format('SELECT count(*) FILTER (WHERE id = 7) FROM %s', records) FROM venice.versions WHERE store = 'fresh' AND state IN ('current', 'backup') ORDER BY version \gexec
COMMIT;
:maintain
SELECT format('SELECT count(*) FILTER (WHERE id = 7) FROM %s', records) FROM venice.versions WHERE store = 'fresh' AND state IN ('current', 'backup') ORDER BY version \gexec

-- More than a transaction takes away at once; and those that lie between others that stay.
SELECT venice.incremental_push('fresh', 'SELECT g, 0, ''many'' FROM generate_series(1001, 4500) g', 'many');
SELECT count(fresh.delete(g)) FROM generate_series(1001, 4500) g WHERE g % 10 > 0;
SELECT count(fresh.put(g, 1, 'many', ago('2 days'))) FROM generate_series(1001, 4500) g WHERE g % 10 > 0;
:maintain
SELECT count(*), count(*) FILTER (WHERE id % 10 = 0) FROM fresh.records WHERE id > 1000;

-- Nothing is looked through before something can have expired, unless the ttl changes.
SELECT l.version, l.next_time > now() AS later, l.next_time < now() + interval '3 hours' AS soon_enough FROM venice.expiry_look l WHERE store_name = 'fresh' ORDER BY 1;
BEGIN;
SELECT venice.alter_store('fresh', '{"ttl": "12 hours"}');
SELECT count(*) FROM venice.expiry_look WHERE store_name = 'fresh';
COMMIT;
:maintain
SELECT id, v, t FROM fresh.records WHERE id < 1000 ORDER BY 1;
SELECT venice.alter_store('fresh', '{"ttl": null}');
SELECT fresh.put(8, 8, 'old', ago('2 days'));
:maintain
SELECT id, v, t FROM fresh.records WHERE id = 8;

-- The past says that it is gone, from when it was.
SELECT venice.create_store('past', 'id int', 'v int', options => '{"ttl": "1 day", "history": true}');
SELECT past.put(1, 1, ago('2 days')), past.put(2, 2, ago('2 hours'));
:maintain
SELECT id, v, _deleted, event_time > ago('1 hour') AS lately FROM past_history.rows ORDER BY arrival;
SELECT kind, key FROM past_history.log ORDER BY position;

-- A version that was made without a ttl does not say when its rows were written; the next one does.
SELECT venice.create_store('late', 'id int', 'v int');
SELECT late.put(1, 1, ago('2 days'));
SET client_min_messages = notice;
SELECT venice.alter_store('late', '{"ttl": "1 day"}');
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT venice.repush('late', options => '{"ttl": true}');
SELECT late.put(2, 2, ago('2 days'));
:maintain
SELECT id, v FROM late.records ORDER BY 1;
SELECT venice.repush('late');
SELECT late.put(3, 3, ago('2 days'));
:maintain
SELECT id, v FROM late.records ORDER BY 1;

-- By row: what has expired leaves a tombstone, as a delete of then does, and what comes late stays away.
SELECT venice.create_store('by_row', 'id int', 'v int', options => '{"conflict_resolution": "row", "ttl": "1 day"}');
SELECT venice.push('by_row', 'SELECT 1, 0');
SELECT by_row.put(1, 1, ago('2 days')), by_row.put(2, 2, ago('2 days')), by_row.put(3, 3, ago('2 hours'));
:maintain
SELECT id, v FROM by_row.records ORDER BY 1;
SELECT id FROM by_row.tombstones ORDER BY 1;
SELECT by_row.put(2, 4, ago('25 hours')), by_row.put(1, 5, ago('1 hour'));
SELECT id, v FROM by_row.records ORDER BY 1;

-- By field: each for itself; what a push has brought stays, and a row of which nothing is left is gone.
SELECT venice.create_store('by_field', 'id int', 'a int, b int DEFAULT 7, tags text[], attrs jsonb', options => '{"conflict_resolution": "field", "ttl": "1 day", "history": true}');
SELECT venice.push('by_field', 'SELECT g, 0, 0, ''{p}''::text[], ''{"p": 1}''::jsonb FROM generate_series(1, 3) g');
SELECT by_field.update(1, '{"a": 1, "b": 1}', ago('2 days')), by_field.update(1, '{"b": 2}', ago('2 hours')),
       by_field.update(2, '{"tags": {"$union": ["old"]}, "attrs": {"$merge": {"old": 1}}}', ago('2 days')), by_field.update(2, '{"tags": {"$union": ["new"]}}', ago('2 hours')),
       by_field.update(3, '{"a": 3, "b": 3, "tags": ["old"], "attrs": {"old": 1}}', ago('2 days')),
       by_field.update(4, '{"a": 4}', ago('2 days')), by_field.update(4, '{"tags": {"$union": ["new"]}}', ago('2 hours')),
       by_field.update(5, '{"tags": {"$union": ["old"]}}', ago('2 days')),
       by_field.put(6, 6, 6, '{old}', '{"old": 1}', ago('2 days')), by_field.update(6, '{"attrs": {"$merge": {"new": 1}}}', ago('2 hours')),
       by_field.put(7, 7, 7, '{old}', '{"old": 1}', ago('2 days'));
:maintain
SELECT id, a, b, tags, attrs FROM by_field.records ORDER BY 1;
SELECT id FROM by_field.tombstones ORDER BY 1;
SELECT id, a, b, tags, attrs, _deleted FROM by_field_history.rows WHERE event_time > ago('1 hour') AND id > 0 ORDER BY arrival;
:maintain
SELECT count(*) FROM by_field_history.log WHERE kind = 'x';
SELECT by_field.update(7, '{"a": 8}', ago('25 hours')), by_field.update(1, '{"a": 9}', ago('25 hours')), by_field.update(4, '{"tags": {"$union": ["late"]}}', ago('25 hours'));
SELECT id, a, b, tags, attrs FROM by_field.records WHERE id IN (1, 4, 7) ORDER BY 1;

-- A push leaves the same of it: the log is written again, with what has expired.
SELECT venice.push('by_field', 'SELECT g, 0, 0, ''{p}''::text[], ''{"p": 1}''::jsonb FROM generate_series(1, 3) g');
:maintain
SELECT id, a, b, tags, attrs FROM by_field.records ORDER BY 1;

SELECT venice.drop_store(s) FROM unnest('{fresh,past,late,by_row,by_field}'::text[]) s;

-- A repush leaves out what has expired; what came with a push only if it is asked for.
SELECT venice.create_store('again', 'id int', 'v int', options => '{"ttl": "1 year"}');
SELECT venice.create_store('again', 'id int', 'v int', options => '{"ttl": "365 days"}');
SELECT venice.push('again', 'SELECT 1, 0');
SELECT again.put(2, 2, ago('3 days')), again.put(3, 3, ago('1 day')), again.put(4, 4);
SELECT venice.repush('again', options => '{"ttl": "2 days"}');
SELECT id, v FROM again.records ORDER BY 1;
SELECT venice.repush('again', 'SELECT id, v + 10 FROM current WHERE id <> 4', '{"ttl": "2 days"}');
SELECT id, v FROM again.records ORDER BY 1;
SELECT venice.repush('again', options => '{"ttl": "12 hours", "expire_batch_rows": true}');
SELECT id, v FROM again.records ORDER BY 1;
UPDATE venice.push SET started_time = ago('13 hours') WHERE store_name = 'again' AND origin = 'sql';
SELECT venice.repush('again', options => '{"ttl": "12 hours", "expire_batch_rows": true}');
SELECT id, v FROM again.records ORDER BY 1;
SELECT origin, state, count(*) FROM venice.pushes WHERE store = 'again' GROUP BY 1, 2 ORDER BY 1;
SELECT venice.repush('again', options => '{"ttl": "1 month"}');
SELECT venice.repush('again', options => '{"ttl": false}');
SELECT venice.repush('again', options => '{"ttl": 7}');
SELECT venice.repush('again', options => '{"tll": true}');
SELECT venice.repush('again', options => '{"expire_batch_rows": "yes"}');
SELECT venice.alter_store('again', '{"ttl": null}');
SELECT venice.repush('again', options => '{"ttl": true}');
SELECT venice.repush('again', options => '{"expire_batch_rows": true}');
SELECT venice.drop_store('again');

-- Without a ttl of the store's, too, where conflicts are resolved by time: fields expire one by one. What has them keeps its times in a new shape.
SELECT venice.create_store('shape', 'id int', 'a int, b int', options => '{"conflict_resolution": "field"}');
SELECT venice.push('shape', 'SELECT g, 0, 0 FROM generate_series(1, 2) g');
SELECT shape.update(1, '{"a": 1}', ago('3 days')), shape.update(1, '{"b": 1}', ago('1 day')), shape.put(3, 3, 3, ago('3 days')), shape.put(4, 4, 4, ago('1 day'));
SELECT venice.alter_store('shape', value => 'a int, b bigint, c text DEFAULT ''new''');
SELECT venice.repush('shape', options => '{"ttl": "2 days"}');
SELECT id, a, b, c FROM shape.records ORDER BY 1;
SELECT shape.put(4, 5, 5, 'late', ago('36 hours')), shape.put(3, 6, 6, 'back', ago('36 hours'));
SELECT id, a, b, c FROM shape.records ORDER BY 1;
SELECT venice.repush('shape', options => '{"ttl": "1 hour", "expire_batch_rows": true}');
SELECT id, a, b, c FROM shape.records ORDER BY 1;
UPDATE venice.push SET started_time = ago('13 hours') WHERE store_name = 'shape' AND origin = 'sql';
SELECT shape.put(5, 5, _logical_time => ago('2 hours')), shape.update(2, '{"a": 9}');
SELECT venice.repush('shape', options => '{"ttl": "1 hour", "expire_batch_rows": true}');
SELECT id, a, b, c FROM shape.records ORDER BY 1;
SELECT venice.drop_store('shape');

DROP FUNCTION ago;
