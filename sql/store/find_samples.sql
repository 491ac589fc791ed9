-- The values stored for given series and times of one day: a gauge's or counter's sample is stored once.
SELECT s.series_id, epoch_us(s.ts)::DOUBLE AS timestamp_us, s.value
FROM weir.{table} AS s
JOIN (SELECT unnest($1::UINTEGER[]) AS series_id, unnest($2::BIGINT[]) AS timestamp_us) AS wanted
  ON wanted.series_id = s.series_id AND s.ts = make_timestamp(wanted.timestamp_us)
QUALIFY row_number() OVER (PARTITION BY s.series_id, s.ts ORDER BY s.rowid) = 1;
