-- The days in which each series has samples, for the registry.
SELECT series_id, date_diff('day', DATE '1970-01-01', day)::DOUBLE AS day FROM weir.series_days;
