-- The UTC time at which the clocks of a zone show a local time: the reverse of local_time.
CREATE OR REPLACE TEMP MACRO utc_time(local, zone) AS ((local AT TIME ZONE zone) AT TIME ZONE 'UTC');
