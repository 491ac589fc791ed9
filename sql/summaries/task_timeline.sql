-- What happened to one task, in order?
-- Every sample of every metric that carries the task's id, the oldest first.
-- parameter task_id text: the task's id
-- parameter from time = 1970-01-01: start of the range
-- parameter to time = +1d: end of the range, itself not in it
-- table samples: task_id
SELECT ts, metric, value, labels
FROM (
  SELECT ts, metric, value, labels FROM samples WHERE ts >= $from AND ts < $to AND task_id = $task_id
  UNION ALL
  -- Gauges have the id as a label, if at all. Apart from the above: an OR over both would read every row.
  SELECT ts, metric, value, labels FROM samples WHERE ts >= $from AND ts < $to AND labels['task_id'] = $task_id
)
ORDER BY ts, metric, value;
