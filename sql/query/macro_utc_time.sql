-- Converts a local time of a zone to UTC: the reverse of local_time.
CREATE OR REPLACE TEMP MACRO utc_time(local, zone) AS ((local AT TIME ZONE zone) AT TIME ZONE 'UTC');
