-- Who pushed?
-- Workers by their job and instance: how many samples of how many metrics, the first and the last.
-- What others say of them goes on after they fell silent, and is left out: the times of their last pushes, alerts,
-- and the results of rules, which are gauges with a colon in the name.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
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
WHERE metric NOT IN ('weir_last_push_timestamp_seconds', 'ALERTS', 'ALERTS_FOR_STATE')
  AND NOT (kind = 'gauge' AND contains(metric, ':'))
GROUP BY ALL
ORDER BY last DESC, job, instance;
