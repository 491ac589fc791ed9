-- How was each day?
-- Requests, tasks and uploads by UTC day: how many, how many failed, how long they took, and how many bytes. A request
-- failed when its `success` is `false`. A task failed when its status is 400 or more, or is not a number (`unknown`:
-- there was no answer), except for `success` and `ok`.
-- parameter from time = -7d: start of the range
-- parameter to time = now: end of the range, not included
-- parameter requests_metric metric = http.request.duration_ms: one sample per request, its duration
-- parameter tasks_metric metric = task.processing_duration_ms: one sample per task, its duration
-- parameter uploads_metric metric = upload.size_bytes: one sample per upload, its size in bytes
-- parameter unit_ms number = 1: milliseconds in the unit of the durations; 1000 where they are seconds
-- parameter success_tag tag = success: `false` for a request that failed
-- parameter http_status_tag tag = http_status: how a task ended
-- table requests of $requests_metric: success = $success_tag
-- table tasks of $tasks_metric: http_status = $http_status_tag
-- table uploads of $uploads_metric:
WITH request_days AS (
  SELECT
    ts::DATE AS day,
    count(*) AS requests,
    count(*) FILTER (WHERE success = 'false') AS errors,
    favg(value) * $unit_ms AS mean_ms,
    quantile_cont(value, 0.95) * $unit_ms AS p95_ms
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
task_days AS (
  SELECT
    ts::DATE AS day,
    count(*) AS tasks,
    count(*) FILTER (
      WHERE coalesce(TRY_CAST(http_status AS INTEGER) >= 400, lower(http_status) NOT IN ('success', 'ok'))
    ) AS failed,
    favg(value) * $unit_ms AS mean_ms
  FROM tasks
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
upload_days AS (
  SELECT ts::DATE AS day, count(*) AS uploads, fsum(value)::BIGINT AS bytes
  FROM uploads
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
)
SELECT
  day,
  coalesce(requests, 0) AS requests,
  coalesce(errors, 0) AS errors,
  round(100 * errors / requests, 4) AS error_percent,
  round(request_days.mean_ms, 3) AS mean_request_ms,
  round(p95_ms, 3) AS p95_request_ms,
  coalesce(tasks, 0) AS tasks,
  coalesce(failed, 0) AS failed_tasks,
  round(task_days.mean_ms, 3) AS mean_task_ms,
  coalesce(uploads, 0) AS uploads,
  coalesce(bytes, 0) AS uploaded_bytes
FROM request_days
FULL JOIN task_days USING (day)
FULL JOIN upload_days USING (day)
ORDER BY day;
