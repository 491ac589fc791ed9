-- Idempotency keys that have not expired, with their answers.
SELECT scope, idempotency_key, body_hash, epoch_ms(received_at) AS received_at_ms, accepted, answer
FROM weir.pushes ORDER BY received_at;
