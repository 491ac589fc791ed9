-- How much of each error budget is left?
-- Service levels (`[[slo]]`) by name: the events of the range, the part of them that was good, and the part of the error
-- budget that is left. `burn_rate` is how fast the last hour with counts used it: 1 uses the whole budget in just its
-- window.
-- `days_left` is when the budget runs out at that rate, NULL if it does not. A range of a month is its report.
-- parameter from time = -30d: start of the range
-- parameter to time = now: end of the range, not included
-- parameter good_metric metric = slo:good:increase5m: the recorded number of good events
-- parameter total_metric metric = slo:total:increase5m: the recorded number of all events
-- parameter objective_metric metric = slo:objective:ratio: the recorded part that must be good
-- parameter window_metric metric = slo:window:seconds: the recorded time over which that part must be good
-- table good of $good_metric: slo
-- table total of $total_metric: slo
-- table objective of $objective_metric: slo
-- table time_window of $window_metric: slo
-- line: printf('%s: %.3f%% of %.0f, %.1f%% of the budget left', slo, good_percent, events, budget_left_percent)
WITH newest AS (
  -- The range of a report can end in the future.
  SELECT max(ts) AS ts FROM total WHERE ts >= $from AND ts < $to
),
counts AS (
  SELECT
    slo,
    sum(value) AS events,
    sum(value) FILTER (WHERE ts > (SELECT ts FROM newest) - INTERVAL 1 HOUR) AS last_events
  FROM total
  WHERE ts >= $from AND ts < $to AND isfinite(value)
  GROUP BY slo
),
goods AS (
  SELECT
    slo,
    sum(value) AS events,
    sum(value) FILTER (WHERE ts > (SELECT ts FROM newest) - INTERVAL 1 HOUR) AS last_events
  FROM good
  WHERE ts >= $from AND ts < $to AND isfinite(value)
  GROUP BY slo
),
-- Of a level that was changed, the newest counts.
objectives AS (
  SELECT slo, max_by(value, ts) AS ratio FROM objective WHERE ts >= $from AND ts < $to GROUP BY slo
),
windows AS (
  SELECT slo, max_by(value, ts) / 86400 AS days FROM time_window WHERE ts >= $from AND ts < $to GROUP BY slo
),
parts AS (
  SELECT
    slo,
    ratio,
    days,
    counts.events,
    coalesce(goods.events, 0) AS good,
    greatest(0, 1 - coalesce(goods.events, 0) / nullif(counts.events, 0)) / (1 - ratio) AS used,
    greatest(0, 1 - coalesce(goods.last_events, 0) / nullif(counts.last_events, 0)) / (1 - ratio) AS burn_rate
  FROM counts
  JOIN objectives USING (slo)
  JOIN windows USING (slo)
  LEFT JOIN goods USING (slo)
)
SELECT
  slo,
  round(100 * ratio, 6) AS objective_percent,
  round(days, 3) AS window_days,
  round(events) AS events,
  round(100 * good / nullif(events, 0), 4) AS good_percent,
  round(100 * (1 - used), 2) AS budget_left_percent,
  round(burn_rate, 3) AS burn_rate,
  if(used >= 1, 0, if(burn_rate > 0, round((1 - used) * days / burn_rate, 2), NULL)) AS days_left
FROM parts
ORDER BY used DESC NULLS LAST, slo;
