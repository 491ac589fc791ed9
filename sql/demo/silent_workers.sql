-- A question of `weir demo`: since when no sample of a worker has arrived.
SELECT instance AS worker, count(*) AS requests, max(ts) AS last_request,
       date_sub('minute', max(ts), now()) AS minutes_ago
FROM http_request_duration_ms GROUP BY ALL ORDER BY last_request
