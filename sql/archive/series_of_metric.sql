-- How many samples each series of a metric ($1) has.
SELECT c.series_id, c.samples
FROM temp.main.archived_counts AS c JOIN weir.series AS s USING (series_id)
WHERE s.metric = $1
ORDER BY c.series_id;
