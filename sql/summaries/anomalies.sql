-- Is anything wrong just now?
-- Four checks over the range, each beside the same length of time before it: requests that fail (status code of 400 and
-- more), tasks that take long on average, errors of the server (any 5xx), and more 429s than before.
-- parameter from time = -1h: start of the range; the time before it is as long
-- parameter to time = now: end of the range, itself not in it
-- parameter error_rate_max number = 0.05: share of failed requests above which something is wrong
-- parameter task_duration_max number = 10000: mean duration of tasks above which something is wrong, in the metric's unit
-- parameter requests_metric metric = http.request.duration_ms: one sample a request
-- parameter tasks_metric metric = task.duration_ms: one sample a task
-- table requests of $requests_metric: status_code
-- table tasks of $tasks_metric:
WITH by_code AS (
  SELECT ts >= $from AS now, status_code, count(*) AS requests
  FROM requests
  WHERE ts >= $from::TIMESTAMP - ($to::TIMESTAMP - $from::TIMESTAMP) AND ts < $to
  GROUP BY ALL
),
classed AS (
  SELECT *, coalesce(TRY_CAST(status_code AS INTEGER), if(status_code IS NULL, 0, 999)) AS code FROM by_code
),
requests_now AS (
  SELECT
    sum(requests) FILTER (WHERE now AND code >= 400) AS errors,
    sum(requests) FILTER (WHERE now) AS all_requests,
    sum(requests) FILTER (WHERE now AND code BETWEEN 500 AND 599) AS server_errors,
    sum(requests) FILTER (WHERE now AND code = 429) AS refused,
    sum(requests) FILTER (WHERE NOT now AND code >= 400) AS errors_before,
    sum(requests) FILTER (WHERE NOT now) AS all_before,
    sum(requests) FILTER (WHERE NOT now AND code BETWEEN 500 AND 599) AS server_errors_before,
    sum(requests) FILTER (WHERE NOT now AND code = 429) AS refused_before
  FROM classed
),
tasks_now AS (
  SELECT avg(value) FILTER (WHERE ts >= $from) AS mean, avg(value) FILTER (WHERE ts < $from) AS mean_before
  FROM tasks
  WHERE ts >= $from::TIMESTAMP - ($to::TIMESTAMP - $from::TIMESTAMP) AND ts < $to
),
checks AS (
  SELECT
    1 AS place,
    'error_rate' AS name,
    coalesce(errors, 0) / all_requests AS value,
    coalesce(errors_before, 0) / all_before AS before,
    $error_rate_max::DOUBLE AS threshold
  FROM requests_now
  UNION ALL
  SELECT 2, 'mean_task_duration', mean, mean_before, $task_duration_max::DOUBLE FROM tasks_now
  UNION ALL
  SELECT 3, 'server_errors', coalesce(server_errors, 0), coalesce(server_errors_before, 0), 0 FROM requests_now
  UNION ALL
  -- Some 429s are how a limit works; more than before are not.
  SELECT 4, 'rising_429s', coalesce(refused, 0), coalesce(refused_before, 0), coalesce(refused_before, 0)
  FROM requests_now
)
SELECT
  name AS "check",
  coalesce(value > threshold, false) AS anomalous,
  round(value, 4) AS value,
  round(before, 4) AS before,
  threshold
FROM checks
ORDER BY place;
