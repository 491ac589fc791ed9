-- The newest totals of every series. A snapshot writes only the series that changed since the previous one.
SELECT series_id, count, sum_high, sum_low, value, created_us, last_us, arrived_us
FROM weir.totals
QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY generation DESC) = 1;
