-- A question of `weir demo`: the slowest tasks of the last hour, with the ids that find them in the workers' logs.
SELECT task_id, domain, http_status AS status,
       round(value / 1000, 1) AS seconds
FROM task_processing_duration_ms
WHERE ts > now() - INTERVAL 1 HOUR
ORDER BY value DESC LIMIT 5
