-- The view main.metrics with only the metrics of the series of a caller, which are in {own_series}.
CREATE OR REPLACE TEMP TABLE {own_view} AS
SELECT metric, kind, type, unit, help, buckets
FROM weir.metrics
WHERE metric IN (SELECT metric FROM {own_series});
