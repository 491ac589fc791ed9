-- For which domains do tasks run, and how?
-- Tasks by domain: how many, how many failed (any status but success), and their durations in the metric's unit.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter metric metric = task.duration_ms: one sample a task
-- table tasks of $metric: domain, status
SELECT
  coalesce(domain, '(none)') AS domain,
  count(*) AS tasks,
  count(*) FILTER (WHERE status <> 'success') AS failed,
  round(count(*) FILTER (WHERE status <> 'success') / count(*), 4) AS failure_rate,
  round(avg(value), 3) AS mean_duration,
  round(quantile_cont(value, 0.95), 3) AS p95_duration,
  max(value) AS max_duration
FROM tasks
WHERE ts >= $from AND ts < $to
GROUP BY ALL
ORDER BY tasks DESC, domain;
