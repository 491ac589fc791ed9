-- The samples that store/find_samples looks for. Made anew each time: rows that are deleted from a temporary table
-- keep their place in memory, and in every later scan of it.
CREATE OR REPLACE TEMP TABLE wanted_samples (series_id UINTEGER NOT NULL, ts TIMESTAMP NOT NULL);
