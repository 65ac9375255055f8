-- Kappa: no job. A topic keeps all that has ever happened; what is served is derived from it, and to derive it in
-- another way is to read it from its beginning into a new version, and to switch.
--
-- One wants it where the stream says everything, so that there is one definition, which can be tried on the past before it
-- is served. It costs a topic that keeps everything, and the time to read all of it for each change.
\ir prepare.sql

-- Where is each aircraft, and how late was it? `rewind` is longer than the topic.
\! "$PYTHON" examples/patterns/flights.py publish aircraft_events 2013-11-24 2013-12-01
SELECT venice.create_store('aircraft', 'tail text', 'airport text, delay integer, landed timestamptz', options => '{
    "key_format": "text", "value_format": "json", "fields": {"delay": "delay.departure"},
    "real_time_topics": [{"server": "kafka", "topic": "aircraft_events"}], "rewind": "100 years"}');
\set nothing 'SELECT * FROM aircraft.records WHERE false'
SELECT venice.push('aircraft', :'nothing');
CALL venice.wait_for_push('aircraft', timeout => '1 min');
SELECT * FROM aircraft.get('N24211');

-- That is the delay at departure: not what was asked. Version 2 is derived from the same events in another way, and ready
-- without being read by anybody: the first one goes on meanwhile.
SELECT venice.alter_store('aircraft', '{"fields": {"delay": "delay.arrival"}}');
SELECT * FROM venice.start_push('aircraft');
SELECT venice.end_push('aircraft', swap => false);
CALL venice.wait_for_push('aircraft', timeout => '1 min');

-- The two side by side.
SELECT airport, count(*) AS aircraft, round(avg(v1.delay), 1) AS version_1, round(avg(v2.delay), 1) AS version_2
  FROM aircraft.records v1 JOIN aircraft_v2.records v2 USING (tail, airport)
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;
SELECT venice.swap_version('aircraft', 2);

-- Both are written to by what happens from now on, so that there is a way back that loses nothing.
\! "$PYTHON" examples/patterns/flights.py write aircraft_events N24211 '{"airport": "LAX", "delay": {"departure": 3, "arrival": -7}, "landed": "2013-12-02 09:00+00"}'
\! "$PYTHON" examples/patterns/flights.py write aircraft_events N3ALAA
CALL wait_until($$SELECT NOT EXISTS (SELECT FROM aircraft.get('N3ALAA')) AND EXISTS (SELECT FROM aircraft.get('N24211') WHERE airport = 'LAX')$$);
\ir everything.sql
CALL must_be_same('TABLE aircraft.records', 'TABLE expected');

SELECT venice.rollback_version('aircraft');
SELECT * FROM aircraft.batch_get('{N24211,N3ALAA}');
CALL must_be_same('SELECT tail, airport, landed FROM aircraft.records', 'SELECT tail, airport, landed FROM expected');
CALL must_be_same($$SELECT delay FROM aircraft.get('N24211')$$, 'SELECT 3');
