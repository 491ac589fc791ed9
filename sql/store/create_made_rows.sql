-- A table for the rows of a day that stay rows when its blocks are made. Nobody reads it until it replaces the day's table.
CREATE TABLE weir.{rows} AS SELECT * FROM weir.{table} LIMIT 0;
