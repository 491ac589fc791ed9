-- The view main.exemplars with only the series of a caller, which are in {own_series}.
CREATE OR REPLACE TEMP TABLE {own_view} AS
SELECT e.ts, s.metric, s.labels, e.value, e.labels AS exemplar
FROM weir.exemplars AS e
JOIN {own_series} AS s ON s.series_id = e.series_id;
