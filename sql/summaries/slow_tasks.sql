-- Which tasks took long?
-- The slowest first, with what they were.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter slower_than number = 5000: duration above which a task is slow, in the metric's unit
-- parameter top number = 100: how many at most
-- parameter metric metric = task.duration_ms: one sample a task
-- table tasks of $metric: task_id, operation, type, domain, status, error_type
SELECT ts, task_id, value AS duration, coalesce(operation, type) AS operation, domain, status, error_type
FROM tasks
WHERE ts >= $from AND ts < $to AND value > $slower_than
ORDER BY value DESC, ts
LIMIT $top;
