-- How many samples a series ($1) has in each minute: a file has those of some whole minutes, if the series has too many for one.
SELECT epoch_us(date_trunc('minute', ts))::DOUBLE AS minute_us, count(*) AS samples
FROM archived_rows WHERE series_id = $1
GROUP BY ALL
ORDER BY ALL;
