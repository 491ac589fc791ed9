-- The newest totals of every series: a snapshot writes only the series that changed since the one before.
SELECT series_id, count, sum_high, sum_low, value, created_us, last_us, arrived_us, coalesce(hex(buckets), '') AS buckets
FROM weir.totals
QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY generation DESC) = 1;
