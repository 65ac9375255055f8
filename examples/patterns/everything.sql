-- What is true in the end, computed from all events: 1 December, the last landing of N24211, and that N3ALAA was scrapped.
\set QUIET on
\copy landing FROM PROGRAM '"$PYTHON" examples/patterns/flights.py csv 2013-12-01 2013-12-01' CSV
INSERT INTO landing VALUES ('N24211', 'LAX', 'UA', NULL, -7, '2013-12-02 09:00+00');
CREATE VIEW expected AS
    SELECT DISTINCT ON (tail) tail, airport, arrival_delay AS delay, landed
      FROM landing WHERE tail <> 'N3ALAA' ORDER BY tail, landed DESC;
\set QUIET off
