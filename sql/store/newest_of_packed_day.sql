-- As store/newest_sample, for a day that has blocks ($day: days since the epoch).
SELECT max(newest_ms) AS newest_ms
FROM (
  SELECT epoch_ms(max(ts))::DOUBLE AS newest_ms FROM weir.{table}
  UNION ALL
  SELECT (max(last_us) // 1000)::DOUBLE FROM weir.blocks WHERE day = $day
);
