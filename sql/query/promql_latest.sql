-- The last sample of some series of a day up to a time, also if it is a stale marker: the last pushed value of
-- a group that still exists. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
-- $day: days since the epoch.
SELECT series_id, epoch_us(max(ts))::DOUBLE AS timestamp_us, arg_max_null(value, ts) AS value
FROM ({@query/promql_stored})
GROUP BY series_id;
