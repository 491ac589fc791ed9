-- At the end of `weir demo`: how many samples each worker has stored since a time.
-- $from: ms since the epoch
SELECT instance, count(*) AS samples
FROM (
  SELECT instance, ts FROM http_request_duration_ms
  UNION ALL SELECT instance, ts FROM task_processing_duration_ms
  UNION ALL SELECT instance, ts FROM upload_size_bytes
)
WHERE ts >= make_timestamp($from::BIGINT * 1000)
GROUP BY ALL
ORDER BY instance
