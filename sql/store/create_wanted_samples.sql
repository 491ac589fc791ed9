-- The samples that store/find_samples looks for.
CREATE TEMP TABLE IF NOT EXISTS wanted_samples (series_id UINTEGER NOT NULL, ts TIMESTAMP NOT NULL);
