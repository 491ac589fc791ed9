-- The samples that store/find_samples looks for. The table is created again each time: rows that are deleted
-- from a temporary table still take memory, and time in every later scan.
CREATE OR REPLACE TEMP TABLE wanted_samples (series_id UINTEGER NOT NULL, ts TIMESTAMP NOT NULL);
