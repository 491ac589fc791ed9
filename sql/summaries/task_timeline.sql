-- What happened to one task, in order?
-- Every sample of every metric that has the id of the task, the oldest first. `status` is the status of a request's
-- answer, or of the task.
-- parameter task_id text: the id of the task
-- parameter from time = 1970-01-01: start of the range
-- parameter to time = +1d: end of the range, not included
-- parameter task_id_tag tag = task_id: the id of a task
-- parameter operation_tag tag = operation: what a request is for
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- parameter http_status_tag tag = http_status: how a task ended
-- table samples: id = $task_id_tag, step = $operation_tag, status_code = $status_code_tag, http_status = $http_status_tag
SELECT
  ts,
  metric,
  coalesce(step, labels[$operation_tag]) AS operation,
  coalesce(status_code, labels[$status_code_tag], http_status, labels[$http_status_tag]) AS status,
  value,
  labels
FROM (
  FROM samples WHERE ts >= $from AND ts < $to AND id = $task_id
  UNION ALL
  -- Gauges have the id as a label, if at all. Apart from the above: an OR over both would read every row.
  FROM samples WHERE ts >= $from AND ts < $to AND labels[$task_id_tag] = $task_id
)
ORDER BY ts, metric, value;
