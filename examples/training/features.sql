-- What was known, and when: a delay once the flight had landed (it taxis for 25 minutes), the weather once it was observed.
CREATE TABLE landings AS
    SELECT carrier, arr_delay::float8 AS delay,
           time_hour + (minute + dep_delay + air_time + 25) * interval '1 minute' AS landed_time
      FROM flights WHERE arr_delay IS NOT NULL;
CREATE INDEX ON landings (carrier, landed_time DESC);
CREATE INDEX ON weather (origin, time_hour DESC);

-- What is to be predicted, at the time that each flight was to depart.
CREATE TABLE departures AS
    SELECT row_number() OVER (ORDER BY time_hour, minute, carrier, flight) AS flight_id,
           time_hour + minute * interval '1 minute' AS event_time, make_date(year::int, month::int, day::int) AS flight_date,
           carrier, origin, distance::float8, hour::float8, arr_delay::float8
      FROM flights WHERE arr_delay IS NOT NULL;
ANALYZE landings, weather, departures;

CREATE EXTENSION venice;
SELECT venice.create_entity('carrier', 'carrier text');
SELECT venice.create_entity('airport', 'airport text');
SELECT venice.create_source('landings', relation => 'landings', event_time => 'landed_time');
SELECT venice.create_source('weather', relation => 'weather', event_time => 'time_hour');

SELECT venice.create_feature_view('carrier_delays', '{carrier}', 'landings', options => '{
    "description": "How late the carrier''s flights were that have landed lately",
    "aggregations": [{"function": "avg", "column": "delay", "window": "3 hours", "name": "delay_hours"},
                     {"function": "avg", "column": "delay", "window": "1 day", "name": "delay_day"},
                     {"function": "avg", "column": "delay", "window": "3 days", "name": "delay_days"}]}');
SELECT venice.create_feature_view('airport_weather', '{airport}', 'weather',
                                  'temp, humid, wind_speed, precip, pressure, visib', ttl => '3 hours',
                                  options => '{"keys": {"airport": "origin"}}');
SELECT venice.create_service('arrival_model', '{carrier_delays:*, departure:*}', '{
    "model": "arrival", "joins": [{"view": "airport_weather", "alias": "departure", "keys": {"airport": "origin"}}]}');
