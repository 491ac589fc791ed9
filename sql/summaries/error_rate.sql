-- Which operations fail?
-- Requests by operation, and those of them that ended with a status code of 400 and more, or with one that is no
-- number (a timeout, a reset connection). What has no status code at all is no error.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter metric metric = http.request.duration_ms: one sample a request
-- table requests of $metric: operation, status_code
WITH by_code AS (
  -- Few groups: codes are read as numbers once a group, not once a request.
  SELECT coalesce(operation, '(none)') AS operation, status_code, count(*) AS requests
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
classed AS (
  SELECT *, coalesce(TRY_CAST(status_code AS INTEGER), if(status_code IS NULL, 0, 999)) AS code FROM by_code
)
SELECT
  operation,
  sum(requests)::BIGINT AS requests,
  coalesce(sum(requests) FILTER (WHERE code >= 400), 0)::BIGINT AS errors,
  coalesce(sum(requests) FILTER (WHERE code BETWEEN 400 AND 499), 0)::BIGINT AS client_errors,
  coalesce(sum(requests) FILTER (WHERE code BETWEEN 500 AND 599), 0)::BIGINT AS server_errors,
  round(coalesce(sum(requests) FILTER (WHERE code >= 400), 0) / sum(requests), 4) AS error_rate
FROM classed
GROUP BY ALL
ORDER BY error_rate DESC, requests DESC, operation;
