-- A UTC time as the clocks of a zone show it. (ts AT TIME ZONE 'Europe/Berlin' is the reverse for a TIMESTAMP.)
CREATE OR REPLACE TEMP MACRO local_time(utc, zone) AS ((utc AT TIME ZONE 'UTC') AT TIME ZONE zone);
