-- Which operations fail?
-- The percentage of each operation's requests that failed: those whose `success` is `false`, out of all of them. Beside
-- that, by status code: answers from 400 to 499, answers from 500 to 599, and requests without an answer (`unknown`).
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter requests_metric metric = http.request.duration_ms: one sample per request
-- parameter operation_tag tag = operation: what the requests are grouped by
-- parameter success_tag tag = success: `false` for a request that failed
-- parameter status_code_tag tag = status_code: the status of the answer to a request
-- table requests of $requests_metric: operation = $operation_tag, success = $success_tag, status_code = $status_code_tag
-- line: printf('%s: %.6g%% error rate', operation, error_percent)
WITH by_code AS (
  -- Few groups: codes are read as numbers once per group, not once per request.
  SELECT coalesce(operation, '(none)') AS operation, success, status_code, count(*) AS requests
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
),
classed AS (
  SELECT *, TRY_CAST(status_code AS INTEGER) AS code FROM by_code
)
SELECT
  operation,
  round(100 * coalesce(sum(requests) FILTER (WHERE success = 'false'), 0) / sum(requests), 6) AS error_percent,
  sum(requests)::BIGINT AS requests,
  coalesce(sum(requests) FILTER (WHERE success = 'false'), 0)::BIGINT AS errors,
  coalesce(sum(requests) FILTER (WHERE code BETWEEN 400 AND 499), 0)::BIGINT AS client_errors,
  coalesce(sum(requests) FILTER (WHERE code BETWEEN 500 AND 599), 0)::BIGINT AS server_errors,
  coalesce(sum(requests) FILTER (WHERE status_code IS NOT NULL AND code IS NULL), 0)::BIGINT AS unanswered
FROM classed
GROUP BY ALL
ORDER BY error_percent DESC, requests DESC, operation;
