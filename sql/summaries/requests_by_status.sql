-- How do requests end?
-- Requests by their status code, and each code's share of all.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter metric metric = http.request.duration_ms: one sample a request
-- table requests of $metric: status_code
SELECT
  coalesce(status_code, '(none)') AS status_code,
  count(*) AS requests,
  round(count(*) / sum(count(*)) OVER (), 4) AS share
FROM requests
WHERE ts >= $from AND ts < $to
GROUP BY ALL
ORDER BY requests DESC, status_code;
