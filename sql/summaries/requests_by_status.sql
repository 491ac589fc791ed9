-- How do requests end?
-- Requests by status code, and the share of each code. The code of a request without an answer is `unknown`.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter requests_metric metric = http.request.duration_ms: one sample per request
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- table requests of $requests_metric: status_code = $status_code_tag
-- line: printf('%7d %s', requests, status_code)
SELECT
  coalesce(status_code, '(none)') AS status_code,
  count(*) AS requests,
  round(100 * count(*) / sum(count(*)) OVER (), 4) AS percent
FROM requests
WHERE ts >= $from AND ts < $to
GROUP BY ALL
ORDER BY requests DESC, status_code;
