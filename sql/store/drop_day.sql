-- Drops a partition; its blocks are used again.
DROP TABLE weir.{table};
