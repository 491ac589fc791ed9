-- Appends a few rows without attributes to a day, a list a column, in their order.
INSERT INTO weir.{table} (series_id, ts, value, live)
SELECT unnest($1::UINTEGER[]), make_timestamp(unnest($2::BIGINT[])), unnest($3::DOUBLE[]), unnest($4::BOOLEAN[]);
