-- The series of some metrics ($1: a JSON list of names), whose samples are read next.
CREATE OR REPLACE TEMP TABLE archived_series AS
SELECT series_id, metric, labels FROM weir.series
WHERE metric IN (SELECT unnest(from_json($1, '["VARCHAR"]')));
