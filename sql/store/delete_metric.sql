-- Forgets a metric, before its refined metadata is written again or with its last row.
DELETE FROM weir.metrics WHERE metric = $1;
