-- How many samples each series of a metric ($1) has from $2 up to and without $3, microseconds since the epoch.
SELECT series_id, count(*) AS samples
FROM archived_rows
WHERE series_id IN (SELECT series_id FROM temp.main.archived_series WHERE metric = $1)
  AND ts >= make_timestamp($2) AND ts < make_timestamp($3)
GROUP BY ALL
ORDER BY ALL;
