-- The greatest id of a series.
SELECT max(series_id) AS series_id FROM weir.series;
