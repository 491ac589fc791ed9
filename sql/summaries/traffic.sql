-- What arrives, how fast, and how slow?
-- Events and increments by metric: how many, how many a second, the percentage that failed, and of observations the 50th,
-- 95th and 99th percentile of the values. A sample failed if its `success` is `false`, if its status is 400 or more, or if
-- its status is not a number (`unknown`: there was no answer), except for `success` and `ok`.
-- `parts` has the samples of each of 30 equal parts of the range, the oldest first. Parts without samples are left out.
-- parameter from time = -5m: start of the range
-- parameter to time = now: end of the range, not included
-- parameter success_tag tag = success: `false` for a request that failed
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- parameter http_status_tag tag = http_status: how a task ended
-- table samples: success = $success_tag, status_code = $status_code_tag, http_status = $http_status_tag
WITH arrived AS (
  SELECT
    "series id" AS series_id,
    least(29, 30 * (epoch_us(ts) - epoch_us($from::TIMESTAMP)) // (epoch_us($to::TIMESTAMP) - epoch_us($from::TIMESTAMP))) AS part,
    value,
    success,
    coalesce(status_code, http_status) AS status
  FROM samples
  WHERE ts >= $from AND ts < $to
),
-- Labels are looked at once per series, not once per sample.
sources AS (
  SELECT
    series_id,
    series.metric,
    series.kind,
    coalesce(unit, '') AS unit,
    labels[$success_tag] AS success,
    coalesce(labels[$status_code_tag], labels[$http_status_tag]) AS status
  FROM series
  LEFT JOIN metrics ON metrics.metric = series.metric
  WHERE series.kind IN ('observation', 'delta')
),
joined AS (
  SELECT
    metric,
    kind,
    unit,
    part,
    value,
    coalesce(arrived.success, sources.success) AS success,
    coalesce(arrived.status, sources.status) AS status
  FROM arrived
  JOIN sources USING (series_id)
),
counted AS (
  SELECT
    metric,
    kind,
    unit,
    part,
    grouping_id(part) AS whole,
    count(*) AS samples,
    count(*) FILTER (
      WHERE success = 'false' OR coalesce(TRY_CAST(status AS INTEGER) >= 400, lower(status) NOT IN ('success', 'ok'))
    ) AS failed,
    count(*) FILTER (WHERE success IS NOT NULL OR status IS NOT NULL) AS judged,
    quantile_cont(value, [0.5, 0.95, 0.99]) AS percentiles
  FROM joined
  GROUP BY GROUPING SETS ((metric, kind, unit, part), (metric, kind, unit))
),
seconds AS (
  SELECT (epoch_us($to::TIMESTAMP) - epoch_us($from::TIMESTAMP)) / 1e6 AS length
)
SELECT
  metric,
  any_value(kind) AS kind,
  any_value(unit) AS unit,
  max(samples) FILTER (WHERE whole = 1) AS samples,
  round(max(samples) FILTER (WHERE whole = 1) / any_value(length), 6) AS per_second,
  max(failed) FILTER (WHERE whole = 1 AND judged > 0) AS failed,
  round(100 * max(failed / judged) FILTER (WHERE whole = 1 AND judged > 0), 4) AS failed_percent,
  any_value(percentiles[1]) FILTER (WHERE whole = 1 AND kind = 'observation') AS p50,
  any_value(percentiles[2]) FILTER (WHERE whole = 1 AND kind = 'observation') AS p95,
  any_value(percentiles[3]) FILTER (WHERE whole = 1 AND kind = 'observation') AS p99,
  list({part: part, samples: samples, failed: failed, p95: percentiles[2]} ORDER BY part) FILTER (WHERE whole = 0) AS parts
FROM counted, seconds
GROUP BY metric
ORDER BY samples DESC, metric;
