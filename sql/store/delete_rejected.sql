-- Deletes rejected samples by their ids, as texts.
DELETE FROM weir.rejected WHERE rejected_id IN (SELECT unnest($1::VARCHAR[])::BIGINT);
