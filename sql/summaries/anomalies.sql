-- Is anything wrong just now?
-- Four checks over the range, each beside the same length of time before it: the percentage of requests that failed
-- (`success` is `false`), the mean duration of tasks, answers from 500 to 599 by the server (of all operations but the
-- requests to the targets of tasks), and answers 429, of which there should not be more than before. Without any data
-- to check, `anomalous` and `value` are NULL.
-- parameter from time = -1h: start of the range; the time before it is as long
-- parameter to time = now: end of the range, not included
-- parameter error_percent_max number = 5: percentage of failed requests above which something is wrong
-- parameter task_duration_ms_max number = 10000: mean duration of tasks in milliseconds above which something is wrong
-- parameter requests_metric metric = http.request.duration_ms: one sample per request
-- parameter tasks_metric metric = task.processing_duration_ms: one sample per task, its duration
-- parameter unit_ms number = 1: milliseconds in the unit of the durations; 1000 where they are seconds
-- parameter target_operation text = target_request: the operation whose answers are those of targets, not the server's
-- parameter operation_tag tag = operation: what a request is for
-- parameter success_tag tag = success: `false` for a request that failed
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- table requests of $requests_metric: operation = $operation_tag, success = $success_tag, status_code = $status_code_tag
-- table tasks of $tasks_metric:
WITH by_code AS (
  SELECT
    ts >= $from AS now,
    success = 'false' AS failed,
    operation IS DISTINCT FROM $target_operation AS by_server,
    status_code,
    count(*) AS requests
  FROM requests
  WHERE ts >= $from::TIMESTAMP - ($to::TIMESTAMP - $from::TIMESTAMP) AND ts < $to
  GROUP BY ALL
),
classed AS (
  SELECT
    *,
    if(failed, requests, 0) AS errors,
    if(by_server AND TRY_CAST(status_code AS INTEGER) BETWEEN 500 AND 599, requests, 0) AS server_errors,
    if(status_code = '429', requests, 0) AS limited
  FROM by_code
),
requests_now AS (
  SELECT
    100 * sum(errors) FILTER (WHERE now) / sum(requests) FILTER (WHERE now) AS error_percent,
    100 * sum(errors) FILTER (WHERE NOT now) / sum(requests) FILTER (WHERE NOT now) AS error_percent_before,
    sum(server_errors) FILTER (WHERE now) AS server_errors,
    sum(server_errors) FILTER (WHERE NOT now) AS server_errors_before,
    sum(limited) FILTER (WHERE now) AS limited,
    sum(limited) FILTER (WHERE NOT now) AS limited_before
  FROM classed
),
tasks_now AS (
  SELECT
    favg(value) FILTER (WHERE ts >= $from) * $unit_ms AS mean_ms,
    favg(value) FILTER (WHERE ts < $from) * $unit_ms AS mean_ms_before
  FROM tasks
  WHERE ts >= $from::TIMESTAMP - ($to::TIMESTAMP - $from::TIMESTAMP) AND ts < $to
),
checks AS (
  SELECT
    1 AS place,
    'error_percent' AS name,
    error_percent AS value,
    error_percent_before AS before,
    $error_percent_max::DOUBLE AS threshold
  FROM requests_now
  UNION ALL
  SELECT 2, 'mean_task_duration_ms', mean_ms, mean_ms_before, $task_duration_ms_max::DOUBLE FROM tasks_now
  UNION ALL
  SELECT 3, 'server_errors', server_errors, server_errors_before, 0 FROM requests_now
  UNION ALL
  -- Some 429s are how a limit works; more than before are not.
  SELECT 4, 'rising_429s', limited, limited_before, coalesce(limited_before, 0) FROM requests_now
)
SELECT
  name AS "check",
  value > threshold AS anomalous,
  round(value, 4) AS value,
  round(before, 4) AS before,
  threshold
FROM checks
ORDER BY place;
