-- Rejected samples before an id, the newest first. An empty text and a NULL select all.
SELECT
  rejected_id::DOUBLE AS id,
  epoch_us(received_at)::DOUBLE AS received_us,
  protocol, instance, cause, metric, reason, payload, labels, sample
FROM weir.rejected
WHERE rejected_id < $before::BIGINT
  AND ($metric = '' OR metric = $metric)
  AND ($cause = '' OR cause = $cause)
  AND ($protocol = '' OR protocol = $protocol)
  AND ($instance = '' OR instance = $instance)
  AND ($reason = '' OR contains(lower(reason), lower($reason)))
  AND received_at >= make_timestamp($from::BIGINT)
  AND received_at <= make_timestamp($to::BIGINT)
ORDER BY rejected_id DESC
LIMIT $limit::BIGINT;
