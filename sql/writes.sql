-- Theme: rows written one by one.
SET client_min_messages = warning;

-- A write is seen at once; a column that is not given takes its default.
SELECT venice.create_store('w', 'id bigint', 'clicks bigint, tags text[], attrs jsonb, ctr double precision DEFAULT 0.5');
SELECT w.put(1, 10, '{a,b}', '{"x": 1}');
SELECT w.put(id => 2, clicks => 20);
SELECT id, r.* FROM generate_series(1, 3) id, w.get(id) r ORDER BY 1;
SELECT w.put(2, 21);
SELECT w.delete(1);
SELECT w.delete(1);
SELECT * FROM w.records;

-- Every operation of a patch, and several on one column.
SELECT w.put(1, 10, '{a,b,a}', '{"x": 1, "z": 3}');
SELECT w.update(1, '{"clicks": {"$add": -3}, "ctr": 2, "tags": {"$union": ["c", "b", "c"], "$diff": ["a"]}, "attrs": {"$merge": {"x": {"deep": [1]}, "y": null}, "$remove": ["z", "q"]}}');
SELECT * FROM w.get(1);
SELECT w.update(1, '{"tags": null, "attrs": {"plain": "object"}, "clicks": null}');
SELECT * FROM w.get(1);
SELECT w.update(1, '{}');
SELECT w.update(1, '{"tags": {"$union": ["n", "n"]}, "attrs": {"$remove": ["plain"]}, "clicks": {"$add": 5}}');
SELECT * FROM w.get(1);

-- An update of an absent key begins with the defaults; operations on it are applied to them.
SELECT w.update(7, '{"clicks": {"$add": 1}, "tags": {"$diff": ["x"]}}');
SELECT * FROM w.get(7);

-- Several writes of one key in one statement, and in one transaction, apply one after the other.
SELECT count(w.update(8, '{"clicks": {"$add": 1}}')) FROM generate_series(1, 5);
BEGIN;
SELECT w.update(8, '{"clicks": {"$add": 1}}');
SELECT w.delete(8);
SELECT w.update(8, '{"clicks": {"$add": 1}}');
SELECT clicks FROM w.get(8);
ROLLBACK;
SELECT clicks FROM w.get(8);

-- What is no patch says so, and changes nothing.
\set SHOW_CONTEXT never
SELECT w.update(1, '[]');
SELECT w.update(1, '{"nothing": 1}');
SELECT w.update(1, '{"id": 1}');
SELECT w.update(1, '{"tags": {"$add": 1}}');
SELECT w.update(1, '{"clicks": {"$union": [1]}}');
SELECT w.update(1, '{"clicks": {"$sub": 1}}');
SELECT w.update(1, '{"clicks": {"$add": 1, "other": 2}}');
SELECT w.update(1, '{"attrs": {"abcdef": 2, "$merge": {}}}');
SELECT w.update(1, '{"attrs": {"$merge": [1]}}');
SELECT w.update(1, '{"attrs": {"$remove": [1]}}');
SELECT w.update(1, '{"attrs": {"$remove": "plain"}}');
SELECT w.update(1, '{"clicks": 1.5}');
SELECT w.update(1, '{"clicks": {"$add": 9223372036854775807}}');
SELECT w.update(1, NULL);
SELECT w.put(NULL);
SELECT w.put(1, _logical_time => 'infinity');
SET timezone = 'UTC';
SELECT w.put(1, _logical_time => '1969-12-31');
SELECT venice_internal.put('w', '{id,clicks}', NULL, 1);
-- Nor is a key believed that is of another type, stands in another place, or is none.
SELECT venice_internal.put('w', '{id,clicks}', NULL, 1::int, 1::bigint);
SELECT venice_internal.put('w', '{id,clicks}', NULL, 'x'::text, 1::bigint);
SELECT venice_internal.put('w', '{clicks,id}', NULL, 1::bigint, 1::bigint);
SELECT venice_internal.put('w', '{nothing,clicks}', NULL, 1::bigint, 1::bigint);
SELECT venice_internal.put('w', '{id,nothing}', NULL, 1::bigint, 1::bigint);
SELECT venice_internal.put('w', '{id,_meta}', NULL, 1::bigint, 'x'::bytea);
SELECT venice_internal.update('w', '{id}', NULL, '{}', 1::int);
SELECT venice_internal.delete('w', '{clicks}', NULL, 1::bigint);
SELECT venice_internal.put('w', '{id}', NULL, VARIADIC '{1}'::bigint[]);
SELECT venice_internal.put('nowhere', '{id}', NULL, 1);
SELECT * FROM w.get(1);

-- A push replaces the rows, and what was written lately is written again to its version; a roll-back has it, too.
SELECT venice.push('w', 'SELECT g, g * 100, NULL::text[], NULL::jsonb, 1 FROM generate_series(1, 9) g');
SELECT id, clicks, tags, attrs, ctr FROM w.records ORDER BY 1;
SELECT w.put(99, 99);
SELECT version AS next FROM venice.start_push('w') \gset
SELECT w.update(99, '{"clicks": {"$add": 1}}');
SELECT venice.end_push('w', swap => false);
SELECT w.update(99, '{"clicks": {"$add": 1}}');
SELECT format('SELECT count(*), max(clicks) FILTER (WHERE id = 99) FROM %s', records) FROM venice.versions WHERE store = 'w' ORDER BY version \gexec
SELECT venice.swap_version('w', :next);
SELECT clicks FROM w.get(99);
SELECT venice.rollback_version('w');
SELECT clicks FROM w.get(99);

-- Only the last while is written again, as the option says.
SELECT venice.alter_store('w', '{"rewind": "0 seconds"}');
SELECT venice.push('w', 'SELECT 1, 2, NULL::text[], NULL::jsonb, 3');
SELECT id, clicks FROM w.records;

-- Values survive the log as they are: binary digits, infinities, time zones, nested arrays' types, intervals, bytes.
SELECT venice.create_store('exact', 'k text, d date', 'f4 real, f8 double precision, n numeric, t timestamptz, i interval, b bytea, u uuid, a real[], j jsonb, v varchar(3)');
SET extra_float_digits = -3;
SET intervalstyle = sql_standard;
SET datestyle = 'SQL, DMY';
SELECT exact.put('x"\y', '2026-02-01', 0.1::real, 'NaN', 12345678901234567890.123456789, '2026-01-02 03:04:05.678901+05', '-1 day 2 hours', '\xdeadbeef',
                 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1.1,NULL,-Infinity}', '{"a": [1.10, "x"]}', 'abc');
RESET extra_float_digits;
RESET intervalstyle;
RESET datestyle;
CREATE TEMP TABLE before AS SELECT * FROM exact.records;
SELECT venice.push('exact', 'SELECT ''y'', ''2026-02-02''::date, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL');
SELECT count(*) FROM exact.records r, before o WHERE record_image_eq(r, o);
SELECT exact.put('x', '2026-02-01', v => 'abcd');

-- So do values for which JSON has no form, and those of a patch that depend on settings: whoever pushes has others.
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('fine', 'bad');
SELECT venice.create_store('shapes', 'id int', 'p pair, ps pair[], ms mood[], r tstzrange, t timestamptz, ts timestamptz[], b bytea');
SET datestyle = 'SQL, DMY';
SET timezone = 'America/New_York';
SET bytea_output = escape;
SELECT shapes.put(1, (1, 'x y'), ARRAY[(1, 'x y')]::pair[], '{fine,bad}', '[2026-02-01 00:00,2026-02-03 00:00)', '2026-02-01', '{2026-02-01}', '\xdeadbeef');
SELECT shapes.update(2, '{"p": "(1,a)", "ps": {"$union": ["(2,b)"]}, "ms": ["bad"], "r": "[01/02/2026,)", "t": "01/02/2026", "ts": {"$union": ["01/02/2026"], "$diff": ["02/02/2026"]}}');
SELECT shapes.update(3, '{"t": "now"}');
RESET datestyle;
RESET timezone;
RESET bytea_output;
CREATE TEMP TABLE shapes_before AS SELECT * FROM shapes.records;
SELECT venice.push('shapes', 'SELECT 4, NULL::pair, NULL::pair[], NULL::mood[], NULL::tstzrange, NULL::timestamptz, NULL::timestamptz[], NULL::bytea');
SELECT count(*) FROM shapes.records n, shapes_before o WHERE record_image_eq(n, o);

-- A column that has come to be wider takes what fits it; a backup that cannot hold that keeps its row, and a repush has the new columns.
SELECT venice.create_store('wider', 'id int', 'n int');
SELECT wider.put(1, 2147483647), wider.put(2, 2);
SELECT venice.alter_store('wider', value => 'added text DEFAULT ''new'', n bigint');
SELECT venice.repush('wider', 'SELECT * FROM current WHERE id < 3');
SELECT venice.alter_store('wider', '{"rewind": "0 seconds"}');
SELECT venice.repush('wider');
SELECT wider.put(3, n => 3);
SELECT venice.alter_store('wider', value => 'n numeric, added text DEFAULT ''new''');
SELECT venice.repush('wider');
SELECT wider.put(3, 1e30), wider.put(2, 22), wider.update(1, '{"n": {"$add": 9223372036854775807}}');
SELECT * FROM wider.records ORDER BY id;
SELECT * FROM wider_v2.records ORDER BY id;

-- What the log has of before another way to resolve conflicts does not keep a push from being made: it is done as it was.
SELECT venice.create_store('policy', 'id int', 'n int, t text[]');
SELECT policy.put(1, 1, '{a}'), policy.update(1, '{"n": {"$add": 2}}'), policy.update(2, '{"n": {"$add": 3}, "t": {"$union": ["b"]}}');
SELECT venice.alter_store('policy', '{"conflict_resolution": "field"}');
SELECT venice.push('policy', 'SELECT 3, 3, NULL');
SELECT id, n, t FROM policy.records ORDER BY id;
SELECT policy.update(1, '{"n": {"$add": 2}}');
SELECT policy.update(1, '{"n": 5}');
SELECT venice.alter_store('policy', '{"conflict_resolution": "row"}');
SELECT venice.push('policy', 'SELECT 3, 3, NULL');
SELECT id, n, t FROM policy.records ORDER BY id;
SELECT policy.put(1, 6);
SELECT id, n, t FROM policy.records ORDER BY id;

-- A log that was restored has ids of another cluster's transactions: each of its writes is done once, and before what came after.
SELECT venice.create_store('moved', 'id int', 'n int');
SELECT moved.put(1, 1), moved.update(2, '{"n": {"$add": 1}}');
UPDATE moved_history.log SET transaction_id = '9000000000';
SELECT moved.put(1, 2), moved.update(2, '{"n": {"$add": 1}}');
SELECT venice.push('moved', 'SELECT 3, 3');
SELECT * FROM moved.records ORDER BY id;

-- Triggers fire in each version, before and after, and one that takes a row out of the way is obeyed.
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_WHEN = 'BEFORE' AND NEW.id = 99 THEN
		RETURN NULL;
	END IF;
	RAISE NOTICE '% % %', TG_WHEN, TG_OP, NEW;
	RETURN NEW;
END $$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON moved.records FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON moved.records FOR EACH ROW EXECUTE FUNCTION tell();
SET client_min_messages = notice;
SELECT moved.put(4, 4);
SELECT moved.put(99, 4);

-- So they do for each write of a batch, in the order of keys, and of the writes to one.
SELECT venice.incremental_push('moved', 'VALUES (5, 1), (99, 1), (4, 1), (5, 2), (4, 2)', 'batch');
SET client_min_messages = warning;
SELECT count(*) FROM moved.records WHERE id = 99;
SELECT venice.drop_store(s) FROM unnest('{shapes,wider,policy,moved}'::text[]) s;
DROP FUNCTION tell();
DROP TABLE shapes_before;
DROP TYPE pair, mood;

-- A constraint, a trigger and an index of a user's see the write in each version.
ALTER TABLE exact.records ADD CHECK (f4 < 100);
SELECT exact.put('x', '2026-02-01', f4 => 100);
SELECT venice.push('exact', 'SELECT ''y'', ''2026-02-02''::date, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL');
SELECT exact.update('y', '2026-02-02', '{"f4": 101}');

-- Nor does a batch go by a constraint with a row that another one of it replaces; and of a refused batch nothing is left.
SELECT venice.incremental_push('exact', $$SELECT 'z', d, f4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
	FROM (VALUES ('2026-02-02'::date, 1), ('2026-02-03', 101), ('2026-02-03', 1)) v (d, f4)$$);
SELECT count(*) FROM exact.records WHERE k = 'z';

-- Resolved by time, whatever the order of arrival: the later write of a row wins, and a deleted row does not come back.
SELECT venice.create_store('by_row', 'id int', 'a int, b int', options => '{"conflict_resolution": "row"}');
SELECT by_row.put(1, 1, 1, _logical_time => '2026-01-01 00:00:10+00'), by_row.put(1, 2, 2, _logical_time => '2026-01-01 00:00:09+00');
SELECT * FROM by_row.get(1);
SELECT by_row.delete(1, '2026-01-01 00:00:08+00'), by_row.delete(2, '2026-01-01 00:00:08+00');
SELECT by_row.put(2, 2, 2, _logical_time => '2026-01-01 00:00:07+00'), by_row.put(2, 2, 2, _logical_time => '2026-01-01 00:00:08+00');
SELECT id, a, b FROM by_row.records ORDER BY 1;
SELECT by_row.put(2, 3, 3, _logical_time => '2026-01-01 00:00:09+00');
SELECT id, a, b FROM by_row.records ORDER BY 1;
SELECT count(*) FROM by_row.tombstones;
SELECT by_row.update(1, '{"a": 3}');

-- By field, member by member: an addition and a removal that come late change just what they are later than.
SELECT venice.create_store('by_field', 'id int', 'name text, tags text[], attrs jsonb', options => '{"conflict_resolution": "field"}');
CREATE FUNCTION at(seconds int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$SELECT timestamptz '2026-01-01 00:00:00+00' + seconds * interval '1 second'$$;
SELECT by_field.put(1, 'n', '{a,b}', _logical_time => at(10));
SELECT by_field.update(1, '{"tags": {"$union": ["c"]}}', at(12));
SELECT by_field.update(1, '{"tags": {"$diff": ["a"]}}', at(11));
SELECT name, tags FROM by_field.get(1);
SELECT by_field.update(1, '{"tags": {"$union": ["a"]}}', at(11));
SELECT name, tags FROM by_field.get(1);
SELECT by_field.update(1, '{"tags": {"$union": ["a"]}}', at(13));
SELECT by_field.put(1, 'm', '{x,c}', _logical_time => at(11));
SELECT name, tags FROM by_field.get(1);
SELECT by_field.delete(1, at(12));
SELECT name, tags FROM by_field.get(1);
SELECT by_field.delete(1, at(13));
SELECT count(*) FROM by_field.records;
SELECT by_field.update(1, '{"name": "late"}', at(12));
SELECT count(*) FROM by_field.records;
SELECT by_field.update(1, '{"attrs": {"$merge": {"k": 2}}}', at(14)), by_field.update(1, '{"attrs": {"$merge": {"k": 1}}}', at(14));
SELECT * FROM by_field.get(1);
SELECT by_field.update(1, '{"id": {"$add": 1}}'), by_field.update(1, '{"name": {"$add": 1}}');

-- Where a trigger has changed an array, what is known of its members is given up, and writing goes on.
CREATE FUNCTION emptied() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tags := ''{}''; RETURN NEW; END';
CREATE TRIGGER emptied BEFORE INSERT OR UPDATE ON by_field.records FOR EACH ROW EXECUTE FUNCTION emptied();
SELECT by_field.update(9, '{"tags": {"$union": ["x", "y"]}}', at(10));
DROP TRIGGER emptied ON by_field.records;
SELECT by_field.update(9, '{"tags": {"$union": ["z"]}}', at(11));
SELECT tags FROM by_field.get(9);
SELECT by_field.delete(9);
DROP FUNCTION emptied();

-- A push comes before all that was ever written, and what is resolved by time stays so in its version.
SELECT venice.push('by_field', 'SELECT 1, ''pushed'', ''{p}''::text[], NULL');
SELECT * FROM by_field.get(1);
SELECT by_field.update(1, '{"attrs": {"$remove": ["k"]}}', at(13));
SELECT * FROM by_field.get(1);

-- An incremental push is a number of writes; with the same id it is one. Keys that it does not have stay.
SELECT venice.incremental_push('w', 'SELECT g, g * 10, NULL, NULL, 4 FROM generate_series(1, 2) g', 'increment');
SELECT venice.incremental_push('w', 'SELECT 1, 77, NULL, NULL, 4', 'increment');
SELECT venice.incremental_push('w', 'SELECT g, 0, NULL, NULL, 4 FROM generate_series(1001, 3000) g', 'large');
SELECT count(*), count(*) FILTER (WHERE clicks = 0) FROM w.records;
SELECT id, clicks FROM w.batch_get('{1,2,3}') r(o, id, clicks);
SELECT version, state, rows FROM venice.pushes WHERE store = 'w' AND push_id = 'increment';
SELECT venice.push('w', 'SELECT 1, 2, NULL::text[], NULL::jsonb, 3', 'increment');
SELECT venice.incremental_push('w', 'SELECT g % 2 + 5000, g, NULL, NULL, 4 FROM generate_series(1, 2500) g', 'again and again');
SELECT id, clicks FROM w.records WHERE id >= 5000 ORDER BY id;
SELECT venice.incremental_push('w', 'SELECT 1');
SELECT venice.incremental_push('w', 'SELECT NULL::bigint, 1, NULL, NULL, NULL');
SELECT venice.incremental_push('w', 'DELETE FROM w.records');

-- A repush makes a version of the current one: of all of it, of a part, of another shape. What was written before is in it once, whatever the query makes of it.
SELECT venice.alter_store('w', '{"rewind": "0 seconds"}');
SELECT venice.repush('w', 'SELECT * FROM current WHERE id < 10');
SELECT venice.repush('w', 'WITH c AS (TABLE current) SELECT id, clicks + 1, tags, attrs, ctr FROM c');
SELECT venice.repush('w');
SELECT id, clicks FROM w.records ORDER BY id;
SELECT venice.repush('w', 'SELECT 1');
SELECT origin, count(*) FROM venice.pushes WHERE store = 'w' GROUP BY 1 ORDER BY 1;
CALL venice.run_maintenance();
SELECT venice.alter_store('w', '{"rewind": null}');
SELECT w.put(1, 1000), w.update(2, '{"clicks": {"$add": 1}}');
SELECT venice.repush('w');
SELECT id, clicks FROM w.records WHERE id < 1000 ORDER BY id;
SELECT venice.repush('w', 'SELECT id, 0, tags, attrs, ctr FROM current WHERE id < 3');
SELECT id, clicks FROM w.records WHERE id < 1000 ORDER BY id;

-- What a repush leaves as it is keeps when it was written, and what was deleted stays so against late writes.
SELECT venice.alter_store('by_field', '{"rewind": "0 seconds"}');
SELECT by_field.put(2, 'two', '{a}', _logical_time => at(20)), by_field.put(3, 'three', NULL, _logical_time => at(20)), by_field.delete(3, at(21));
SELECT venice.repush('by_field');
SELECT by_field.put(2, 'late', NULL, _logical_time => at(19)), by_field.put(3, 'late', NULL, _logical_time => at(19));
SELECT id, name, tags FROM by_field.records WHERE id > 1;
SELECT venice.repush('by_field', 'SELECT id, upper(name), tags, attrs FROM current');
SELECT by_field.put(2, 'not late', NULL, _logical_time => at(19));
SELECT id, name, tags FROM by_field.records WHERE id > 1;

-- What no push can ask for, and no late write is waited for any more, is forgotten.
SELECT by_field.delete(4, at(22));
SELECT venice.alter_store('by_field', '{"tombstone_retention": "0 seconds"}');
CALL venice.run_maintenance();
SELECT count(*) AS logged, (SELECT count(*) FROM by_field.tombstones) AS tombstones FROM by_field_history.log;

-- A store that keeps its past remembers each write: none is before what it has replaced, so that the last one is what the store answers.
SELECT venice.create_store('past', 'id int', 'v int, t text', options => '{"history": true}');
SELECT past.put(1, 1, 'a'), past.update(1, '{"v": 2}'), past.update(1, '{"v": 3}', now() - interval '1 day'), past.delete(1), past.put(2, 2, _logical_time => at(0));
SELECT past.update(3, '{"v": {"$add": 1}}');
SELECT id, v, t, _deleted, event_time = at(0) AS early, event_time >= lag(event_time) OVER (PARTITION BY id ORDER BY arrival) AS in_order FROM past_history.rows ORDER BY arrival;

-- Writing needs what INSERT, UPDATE and DELETE need, on records; policies leave no way.
CREATE ROLE writes_stranger;
SET ROLE writes_stranger;
SELECT venice_internal.put('w', '{id,clicks}', NULL, 1::bigint, 1::bigint);
RESET ROLE;
GRANT USAGE ON SCHEMA w TO writes_stranger;
SET ROLE writes_stranger;
SELECT w.put(1, 1);
RESET ROLE;
GRANT INSERT ON w.records TO writes_stranger;
SET ROLE writes_stranger;
SELECT w.put(1, 1);
SELECT w.update(1, '{"clicks": 2}');
SELECT w.delete(1);
RESET ROLE;
GRANT UPDATE, DELETE ON w.records TO writes_stranger;
SET ROLE writes_stranger;
SELECT w.update(1, '{"clicks": 2}');
SELECT w.delete(1);
SELECT * FROM w_history.log;
RESET ROLE;
ALTER TABLE w.records ENABLE ROW LEVEL SECURITY;
SET ROLE writes_stranger;
SELECT w.put(1, 1);
RESET ROLE;

-- A read-only transaction, and one whose snapshot is old, do as UPDATE would: refuse, or see what is there now.
BEGIN READ ONLY;
SELECT w.put(1, 1);
ROLLBACK;

-- A store of more columns than a function can take has no put, and is written with update.
SELECT string_agg('c' || i || ' int', ', ') AS columns FROM generate_series(1, 96) i \gset
SELECT venice.create_store('wide', 'k int', :'columns');
SELECT wide.put(1, 5, c96 => 7);
SELECT k, c1, c96 FROM wide.records;
SELECT venice.alter_store('wide', value => :'columns' || ', c97 int');
SELECT proname FROM pg_proc WHERE pronamespace = 'wide'::regnamespace AND proname IN ('put', 'update');
SELECT wide.update(1, '{"c1": 6, "c97": 97}');
SELECT k, c1, c96, c97 FROM wide.records;
SELECT venice.rebuild_functions('wide');

-- The log and its schema go with the store.
SELECT venice.drop_store(s) FROM unnest('{w,exact,by_row,by_field,past,wide}'::text[]) s;
SELECT nspname FROM pg_namespace WHERE nspname ~ '^(w|exact|by_row|by_field|past|wide)(_|$)';
DROP FUNCTION at;
DROP ROLE writes_stranger;
