-- Idempotency keys that have not expired, with their answers, as JSON: thousands of rows in a text.
SELECT string_agg(json_array(scope, idempotency_key, body_hash, epoch_ms(received_at), accepted, answer), ',') AS rows
FROM weir.pushes
GROUP BY rowid // 4096;
