-- Forgets idempotency keys past their time.
DELETE FROM weir.pushes WHERE received_at < make_timestamp($1);
