-- The first and the last number of the series of a metric ($1) that is archived now.
SELECT min(series_id)::DOUBLE AS first, max(series_id)::DOUBLE AS last
FROM temp.main.archived_series WHERE metric = $1;
