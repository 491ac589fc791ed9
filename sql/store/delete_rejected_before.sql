-- Deletes rejected samples that arrived before $1 (µs).
DELETE FROM weir.rejected WHERE received_at < make_timestamp($1::BIGINT);
