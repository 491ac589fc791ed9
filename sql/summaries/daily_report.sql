-- How was each day?
-- Requests, tasks and uploads by UTC day: how many, how many failed (status code of 400 and more; any task's status but
-- success), how long they took in the metrics' units, and how many bytes.
-- parameter from time = -7d: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter requests_metric metric = http.request.duration_ms: one sample a request
-- parameter tasks_metric metric = task.duration_ms: one sample a task
-- parameter uploads_metric metric = upload.bytes: one sample an upload, its size in bytes
-- table requests of $requests_metric: status_code
-- table tasks of $tasks_metric: status
-- table uploads of $uploads_metric:
WITH request_codes AS (
  SELECT ts::DATE AS day, status_code, count(*) AS requests
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
request_errors AS (
  SELECT
    day,
    coalesce(
      sum(requests) FILTER (WHERE coalesce(TRY_CAST(status_code AS INTEGER), if(status_code IS NULL, 0, 999)) >= 400),
      0
    )::BIGINT AS errors
  FROM request_codes
  GROUP BY ALL
),
request_days AS (
  SELECT ts::DATE AS day, count(*) AS requests, avg(value) AS mean, quantile_cont(value, 0.95) AS p95
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
task_days AS (
  SELECT
    ts::DATE AS day,
    count(*) AS tasks,
    count(*) FILTER (WHERE status <> 'success') AS failed,
    avg(value) AS mean
  FROM tasks
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
upload_days AS (
  SELECT ts::DATE AS day, count(*) AS uploads, sum(value)::BIGINT AS bytes
  FROM uploads
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
)
SELECT
  day,
  coalesce(requests, 0) AS requests,
  coalesce(errors, 0) AS errors,
  round(errors / requests, 4) AS error_rate,
  round(request_days.mean, 3) AS mean_request,
  round(p95, 3) AS p95_request,
  coalesce(tasks, 0) AS tasks,
  coalesce(failed, 0) AS failed_tasks,
  round(task_days.mean, 3) AS mean_task,
  coalesce(uploads, 0) AS uploads,
  coalesce(bytes, 0) AS uploaded_bytes
FROM request_days
FULL JOIN request_errors USING (day)
FULL JOIN task_days USING (day)
FULL JOIN upload_days USING (day)
ORDER BY day;
