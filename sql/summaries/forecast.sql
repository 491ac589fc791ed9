-- When will a gauge reach a value?
-- A line is laid through each series of the range: the median of the slopes between any two of its up to 64 points
-- (Theil and Sen), so that single outliers and short peaks do not move it. A point is the median of the values of one of
-- 64 equal parts of the range. The bounds hold for 95 of 100 series with independent errors (Sen 1968). `days_left` is
-- NULL if the series stays where it is or moves away from the value, `days_left_max` also if it possibly does. A series
-- with fewer than 8 points has no line. The most urgent series comes first.
-- parameter metric metric: the gauge
-- parameter reaches number: the value that it may reach, from below or from above
-- parameter from time = -7d: start of the range
-- parameter to time = now: end of the range, not included
-- table gauge of $metric:
-- line: if(days_left IS NULL, NULL, printf('%8.1f days (%.1f to %s): %s', days_left, days_left_min, coalesce(printf('%.1f', days_left_max), 'never'), labels))
WITH points AS (
  -- Days since the end of the range, so that numbers stay small.
  SELECT
    "series id" AS series_id,
    count(*) AS samples,
    median((epoch_us(ts) - epoch_us($to::TIMESTAMP)) / 86400e6) AS day,
    median(value) AS value,
    max_by(value, ts) AS last
  FROM gauge
  WHERE ts >= $from AND ts < $to AND isfinite(value)
  GROUP BY
    series_id,
    (epoch_us(ts) - epoch_us($from::TIMESTAMP)) // (1 + (epoch_us($to::TIMESTAMP) - epoch_us($from::TIMESTAMP)) // 64)
),
counted AS (
  SELECT series_id, sum(samples)::BIGINT AS samples, count(*) AS points, max_by(last, day) AS last
  FROM points
  GROUP BY series_id
),
slopes AS (
  SELECT a.series_id, (b.value - a.value) / (b.day - a.day) AS slope
  FROM points AS a
  JOIN points AS b ON a.series_id = b.series_id AND a.day < b.day
),
-- How far the ranks of the bounds are from the median's: 1.96 deviations of Kendall's statistic.
ranks AS (
  SELECT
    *,
    points * (points - 1) / 2 AS pairs,
    least(1, 1.96 * sqrt(points * (points - 1) * (2 * points + 5) / 18) / (points * (points - 1) / 2)) AS spread
  FROM counted
  WHERE points >= 8
),
sorted AS (
  SELECT series_id, list(slope ORDER BY slope) AS slopes FROM slopes GROUP BY series_id
),
lines AS (
  SELECT
    series_id,
    samples,
    points,
    last,
    list_median(slopes) AS per_day,
    slopes[greatest(1, floor((1 - spread) / 2 * pairs)::BIGINT)] AS per_day_low,
    slopes[least(pairs, ceil((1 + spread) / 2 * pairs) + 1)::BIGINT] AS per_day_high
  FROM ranks
  JOIN sorted USING (series_id)
),
levels AS (
  SELECT lines.*, median(points.value - per_day * points.day) AS level
  FROM lines
  JOIN points USING (series_id)
  GROUP BY ALL
),
-- The slopes towards the value: the steepest and the flattest of the bounds.
towards AS (
  SELECT
    *,
    $reaches::DOUBLE - level AS rest,
    if(rest >= 0, per_day_high, per_day_low) AS steepest,
    if(rest >= 0, per_day_low, per_day_high) AS flattest
  FROM levels
)
SELECT
  labels,
  round(last, 6) AS value,
  round(per_day, 6) AS per_day,
  round(per_day_low, 6) AS per_day_low,
  round(per_day_high, 6) AS per_day_high,
  if(rest * per_day > 0, round(rest / per_day, 2), NULL) AS days_left,
  if(rest * per_day > 0, round(rest / steepest, 2), NULL) AS days_left_min,
  if(rest * per_day > 0 AND rest * flattest > 0, round(rest / flattest, 2), NULL) AS days_left_max,
  if(rest * per_day > 0 AND rest / per_day < 36500, $to::TIMESTAMP + to_seconds(rest / per_day * 86400), NULL) AS reaches_at,
  samples
FROM towards
JOIN series USING (series_id)
ORDER BY days_left NULLS LAST, per_day_high DESC, labels;
