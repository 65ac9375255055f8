-- Theme: a store stays within its quotas, and others do not notice.
SET client_min_messages = warning;

-- Over its storage quota a store takes no row and no push, but gives rows up; others go on.
SELECT venice.create_store('brim', 'id int', 'v text');
SELECT venice.create_store('other', 'id int', 'v text', options => '{"storage_quota": 1000000000}');
SELECT venice.push('brim', 'SELECT g, ''x'' FROM generate_series(1, 1000) g');
SELECT venice.alter_store('brim', '{"storage_quota": 8192}');
SELECT store, state FROM venice.stores WHERE store IN ('brim', 'other') ORDER BY 1;
\set VERBOSITY terse
SELECT venice.start_push('brim');
\set VERBOSITY default
SELECT other.put(1, 'y'), brim.delete(1);
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['brim.put(1, ''y'')', 'brim.update(2, ''{"v": "y"}'')', 'venice.push(''brim'', ''SELECT 1, 1'')', 'venice.repush(''brim'')',
                                     'venice.incremental_push(''brim'', ''SELECT 1, 1'')'] LOOP
        BEGIN
            EXECUTE 'SELECT ' || statement;
            RAISE WARNING '% went through', statement;
        EXCEPTION WHEN program_limit_exceeded THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT venice.alter_store('brim', '{"storage_quota": null}');
SELECT brim.put(1, 'z');
SELECT store, state FROM venice.stores WHERE store = 'brim';

-- Of rows a second a store takes so many, and in the next second more; others go on.
SELECT venice.alter_store('brim', '{"write_quota": 5}');
SELECT brim.put(g, 'w') FROM generate_series(1, 100) g;
SELECT other.put(2, 'w');
DO $$
BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM brim.put(5000, 'w');
            EXIT;
        EXCEPTION WHEN program_limit_exceeded THEN
            PERFORM pg_sleep(0.1);
        END;
    END LOOP;
END $$;
SELECT id, v FROM brim.records WHERE id = 5000;
SELECT venice.alter_store('brim', '{"write_quota": 0}');
SELECT venice.alter_store('brim', '{"storage_quota": "much"}');
SELECT venice.alter_store('brim', '{"write_quota": null}');
SELECT count(brim.put(g, 'w')) FROM generate_series(1, 100) g;
SELECT venice.drop_store(s) FROM unnest('{brim,other}'::text[]) s;
