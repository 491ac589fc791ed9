-- The series that end with the days that are dropped.
CREATE TEMP TABLE IF NOT EXISTS ended_series (series_id UINTEGER NOT NULL);
