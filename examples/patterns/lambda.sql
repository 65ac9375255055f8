-- Lambda: two stores, one of the past that a job pushes, one of what has happened since that a topic writes, and a query
-- that reconciles them.
--
-- One wants it where the layers have to be apart: each with its own owner, columns and retention, or a sum of counts of which
-- each layer has its own part. It costs two look-ups, and a rule of who wins in every query; the layer of the stream has to be
-- rid of what the job has; and what the stream takes away has to be written as a fact, because a row that is not there says
-- nothing about the other layer's.
\ir prepare.sql

-- Where is each aircraft, and how late was it?
SELECT venice.create_store('batch', 'tail text', 'airport text, delay integer, landed timestamptz');
SELECT venice.create_store('speed', 'tail text', 'airport text, delay integer, landed timestamptz, scrapped boolean', options => '{
    "key_format": "text", "value_format": "json", "fields": {"delay": "delay.arrival"},
    "real_time_topics": [{"server": "kafka", "topic": "speed_landings"}]}');

-- 1 December is in the topic already when the night's job begins, which has the last landing of each up to 30 November.
\! "$PYTHON" examples/patterns/flights.py publish speed_landings 2013-12-01 2013-12-01
\set job 'SELECT DISTINCT ON (tail) tail, airport, arrival_delay, landed FROM landing ORDER BY tail, landed DESC'
SELECT venice.push('batch', :'job');
SELECT venice.push('speed', 'SELECT * FROM speed.records WHERE false');
CALL venice.wait_for_push('speed', timeout => '1 min');

-- The rule: the later landing wins, and what is scrapped is nowhere.
CREATE FUNCTION aircraft(tail text) RETURNS TABLE (airport text, delay integer, landed timestamptz) STABLE LANGUAGE sql AS $$
    SELECT airport, delay, landed
      FROM (SELECT s.* FROM speed.get($1) s
             UNION ALL
            SELECT b.*, false FROM batch.get($1) b
             ORDER BY landed DESC LIMIT 1) AS latest
     WHERE scrapped IS NOT TRUE $$;
CREATE VIEW aircraft AS
    SELECT tail, airport, delay, landed
      FROM (SELECT DISTINCT ON (tail) *
              FROM (TABLE speed.records UNION ALL SELECT b.*, false FROM batch.records b) AS layers
             ORDER BY tail, landed DESC) AS latest
     WHERE scrapped IS NOT TRUE;
SELECT (landed AT TIME ZONE 'UTC')::date AS day, count(*) AS aircraft FROM aircraft GROUP BY 1 ORDER BY 1;

-- One aircraft lands, another one is scrapped. That cannot be a tombstone, which would bring the job's row back.
\! "$PYTHON" examples/patterns/flights.py write speed_landings N24211 '{"airport": "LAX", "delay": {"arrival": -7}, "landed": "2013-12-02 09:00+00"}'
\! "$PYTHON" examples/patterns/flights.py write speed_landings N3ALAA '{"scrapped": true, "landed": "2013-12-02 09:05+00"}'
CALL wait_until($$SELECT count(*) = 2 FROM speed.batch_get('{N24211,N3ALAA}') WHERE airport = 'LAX' OR scrapped$$);
SELECT tail, a.* FROM unnest('{N24211,N3ALAA}'::text[]) AS tail, aircraft(tail) a;

-- The next job has 1 December, too, so that the layer of the stream can be rid of it. Between the two an aircraft is in both.
\copy landing FROM PROGRAM '"$PYTHON" examples/patterns/flights.py csv 2013-12-01 2013-12-01' CSV
SELECT venice.push('batch', :'job');
SELECT venice.repush('speed', 'SELECT c.* FROM current c LEFT JOIN batch.records b USING (tail) WHERE c.landed <= b.landed IS NOT TRUE');
CALL venice.wait_for_push('speed', timeout => '1 min');
SELECT (SELECT count(*) FROM batch.records) AS batch, (SELECT count(*) FROM speed.records) AS speed;

-- The airports with the most aircraft, and how late those came.
SELECT airport, count(*) AS aircraft, round(avg(delay), 1) AS delay FROM aircraft GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;

-- Somebody who knew everything would say the same.
\ir everything.sql
CALL must_be_same('TABLE aircraft', 'TABLE expected');
