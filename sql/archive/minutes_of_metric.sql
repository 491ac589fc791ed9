-- How many samples a metric ($1) has in each minute: a file has those of some whole minutes.
SELECT epoch_us(date_trunc('minute', ts))::DOUBLE AS minute_us, count(*) AS samples
FROM archived_rows
WHERE series_id IN (SELECT series_id FROM temp.main.archived_series WHERE metric = $1)
GROUP BY ALL
ORDER BY ALL;
