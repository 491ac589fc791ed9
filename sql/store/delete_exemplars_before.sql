-- Deletes the exemplars of days that are past retention.
DELETE FROM weir.exemplars WHERE ts < make_timestamp($1::BIGINT * 86400000000);
