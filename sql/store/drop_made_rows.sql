-- Drops a table that was not made to its end.
DROP TABLE IF EXISTS weir.{rows};
