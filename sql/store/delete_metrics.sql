-- Deletes metrics: before their new records are written, or with their last rows.
DELETE FROM weir.metrics WHERE metric IN (SELECT unnest($1::VARCHAR[]));
