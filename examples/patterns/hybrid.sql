-- Hybrid: one store. A job pushes what it knows of the past, a topic writes what happens on top of it, and readers ask in
-- one place.
--
-- One wants it where the job knows better than the stream (what came late, what was corrected) and the stream knows sooner.
-- It costs an agreement: both write the same columns, and a record says what is, not what to add, because each push reads
-- the last `rewind` of the topic again, on top of rows that may know some of it already.
\ir prepare.sql

-- Where is each aircraft, and how late was it?
SELECT venice.create_store('aircraft', 'tail text', 'airport text, delay integer, landed timestamptz', options => '{
    "key_format": "text", "value_format": "json", "fields": {"delay": "delay.arrival"},
    "real_time_topics": [{"server": "kafka", "topic": "aircraft_landings"}], "rewind": "2 hours"}');

-- 1 December is in the topic already when the night's job begins, which has the last landing of each up to 30 November.
\! "$PYTHON" examples/patterns/flights.py publish aircraft_landings 2013-12-01 2013-12-01
\set job 'SELECT DISTINCT ON (tail) tail, airport, arrival_delay, landed FROM landing ORDER BY tail, landed DESC'
SELECT venice.push('aircraft', :'job');
CALL venice.wait_for_push('aircraft', timeout => '1 min');
SELECT (landed AT TIME ZONE 'UTC')::date AS day, count(*) AS aircraft FROM aircraft.records GROUP BY 1 ORDER BY 1;

-- One aircraft lands, another one is scrapped, and a few milliseconds later it is so.
\! "$PYTHON" examples/patterns/flights.py write aircraft_landings N24211 '{"airport": "LAX", "delay": {"arrival": -7}, "landed": "2013-12-02 09:00+00"}'
\! "$PYTHON" examples/patterns/flights.py write aircraft_landings N3ALAA
CALL wait_until($$SELECT count(*) FILTER (WHERE airport = 'LAX') = 1 AND count(*) = 1 FROM aircraft.batch_get('{N24211,N3ALAA}')$$);

-- The next job knows nothing of it, and need not.
SELECT venice.push('aircraft', :'job');
CALL venice.wait_for_push('aircraft', timeout => '1 min');
SELECT tail, airport, delay, landed FROM aircraft.batch_get('{N24211,N3ALAA}');

-- The airports with the most aircraft, and how late those came.
SELECT airport, count(*) AS aircraft, round(avg(delay), 1) AS delay FROM aircraft.records GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;

-- Somebody who knew everything would say the same.
\ir everything.sql
CALL must_be_same('TABLE aircraft.records', 'TABLE expected');
