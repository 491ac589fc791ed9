-- Forgets metrics, before what is known of them is written again or with their last rows.
DELETE FROM weir.metrics WHERE metric IN (SELECT unnest($1::VARCHAR[]));
