-- Deletes expired idempotency keys.
DELETE FROM weir.pushes WHERE received_at < make_timestamp($1);
