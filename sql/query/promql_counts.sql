-- How many samples some series of a day have in a range of time. The counts decide how much to read at once.
-- $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text; $day: days since the epoch.
SELECT series_id, count(*)::DOUBLE AS row_count
FROM ({@query/promql_stored})
GROUP BY series_id;
