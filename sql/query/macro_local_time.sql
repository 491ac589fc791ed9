-- Converts a UTC time to the local time of a zone. (ts AT TIME ZONE 'Europe/Berlin' is the reverse for a
-- TIMESTAMP.)
CREATE OR REPLACE TEMP MACRO local_time(utc, zone) AS ((utc AT TIME ZONE 'UTC') AT TIME ZONE zone);
