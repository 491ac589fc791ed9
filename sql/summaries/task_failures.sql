-- Why do tasks and their requests fail?
-- Failed tasks by status and domain, and failed requests by operation too: how many, the last time, and the task of the
-- newest one. `step` is `task`, or the operation of the requests. A task failed when its status is 400 or more, or is not a
-- number (`unknown`: there was no answer), except for `success` and `ok`. A request failed when its `success` is `false`.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter tasks_metric metric = task.processing_duration_ms: one sample per task, its duration
-- parameter requests_metric metric = http.request.duration_ms: one sample per request
-- parameter task_id_tag tag = task_id: the id of a task
-- parameter domain_tag tag = domain: where the request of a task goes
-- parameter operation_tag tag = operation: what a request is for
-- parameter success_tag tag = success: `false` for a request that failed
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- parameter http_status_tag tag = http_status: how a task ended
-- table tasks of $tasks_metric: task_id = $task_id_tag, domain = $domain_tag, http_status = $http_status_tag
-- table requests of $requests_metric: task_id = $task_id_tag, domain = $domain_tag, operation = $operation_tag, success = $success_tag, status_code = $status_code_tag
WITH failures AS (
  SELECT 'task' AS step, http_status AS status, domain, task_id, ts
  FROM tasks
  WHERE ts >= $from AND ts < $to
    AND coalesce(TRY_CAST(http_status AS INTEGER) >= 400, lower(http_status) NOT IN ('success', 'ok'))
  UNION ALL
  SELECT coalesce(operation, '(none)'), status_code, domain, task_id, ts
  FROM requests
  WHERE ts >= $from AND ts < $to AND success = 'false'
)
SELECT
  step,
  coalesce(status, '(none)') AS status,
  coalesce(domain, '(none)') AS domain,
  count(*) AS failed,
  max(ts) AS last,
  max_by(task_id, ts) AS task_id
FROM failures
GROUP BY ALL
ORDER BY failed DESC, step, status, domain;
