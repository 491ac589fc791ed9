-- Drops a day's table. The engine uses its blocks again.
DROP TABLE weir.{table};
