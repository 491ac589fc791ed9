-- The samples of the asked series as a table, from which several metrics are read.
CREATE OR REPLACE TEMP TABLE archived_group AS
SELECT * FROM archived_rows WHERE series_id IN (SELECT series_id FROM temp.main.archived_series);
