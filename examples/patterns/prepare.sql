-- What the three patterns begin with: the landings of the last week of November, which are the past; the broker; and a
-- way to wait for what a stream brings, and to fail where something is not so.
\set QUIET on
CREATE EXTENSION venice;
\getenv kafka KAFKA
CREATE SERVER kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers :'kafka');

CREATE TABLE landing (tail text, airport text, carrier text, departure_delay integer, arrival_delay integer, landed timestamptz);
\copy landing FROM PROGRAM '"$PYTHON" examples/patterns/flights.py csv 2013-11-24 2013-11-30' CSV

CREATE PROCEDURE wait_until(query text) LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + '1 minute';
    so boolean;
BEGIN
    LOOP
        EXECUTE query INTO so;
        EXIT WHEN so;
        IF clock_timestamp() > deadline THEN
            RAISE 'still not so after a minute: %', query;
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;

CREATE PROCEDURE must_be_same(one text, other text) LANGUAGE plpgsql AS $$
DECLARE
    differ bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT %2$s) UNION ALL (%2$s EXCEPT %1$s)) d', one, other) INTO differ;
    IF differ > 0 THEN
        RAISE '% and % differ by % rows', one, other, differ;
    END IF;
END $$;
\set QUIET off
