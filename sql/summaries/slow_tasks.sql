-- Which tasks took long?
-- The tasks that took longer than a limit, the slowest first.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter slower_than_ms number = 5000: duration in milliseconds above which a task is slow
-- parameter top number = 100: how many tasks at most
-- parameter tasks_metric metric = task.processing_duration_ms: one sample per task, its duration
-- parameter unit_ms number = 1: milliseconds in the unit of the durations; 1000 where they are seconds
-- parameter task_id_tag tag = task_id: the id of a task
-- parameter domain_tag tag = domain: where the request of a task goes
-- parameter http_status_tag tag = http_status: how a task ended
-- table tasks of $tasks_metric: task_id = $task_id_tag, domain = $domain_tag, http_status = $http_status_tag, method
-- line: json_object('task_id', task_id, 'duration_sec', duration_sec, 'domain', domain)
SELECT task_id, round(value * $unit_ms / 1000, 6) AS duration_sec, domain, http_status, method, ts
FROM tasks
WHERE ts >= $from AND ts < $to AND value * $unit_ms > $slower_than_ms
ORDER BY value DESC, ts
LIMIT $top;
