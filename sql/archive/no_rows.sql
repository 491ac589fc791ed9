-- No rows, in the columns of a day's table that PromQL reads.
SELECT 0::UINTEGER AS series_id, TIMESTAMP '1970-01-01' AS ts, 0::DOUBLE AS value, 0::BIGINT AS rowid WHERE false;
