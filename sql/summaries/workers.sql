-- Who pushed?
-- Workers by their job and instance: how many samples of how many metrics, the first and the last.
-- What the gateway says of them, weir_last_push_timestamp_seconds, goes on after they fell silent: it is left out.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- table samples:
WITH by_series AS (
  -- Few groups of numbers: labels are looked at once a series.
  SELECT "series id" AS series_id, count(*) AS samples, min(ts) AS first, max(ts) AS last
  FROM samples
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
)
SELECT
  coalesce(labels['job'], '(none)') AS job,
  coalesce(labels['instance'], '(none)') AS instance,
  min(first) AS first,
  max(last) AS last,
  sum(samples)::BIGINT AS samples,
  count(DISTINCT metric) AS metrics
FROM by_series
JOIN series USING (series_id)
WHERE metric <> 'weir_last_push_timestamp_seconds'
GROUP BY ALL
ORDER BY last DESC, job, instance;
