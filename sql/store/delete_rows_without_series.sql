-- Nothing says what the rows of an unknown series mean.
DELETE FROM target.weir.{table} WHERE series_id NOT IN (SELECT series_id FROM target.weir.series);
