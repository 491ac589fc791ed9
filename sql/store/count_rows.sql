-- How many rows a day has; also the row id that its next row gets, since day tables are append-only.
SELECT count(*) AS rows FROM weir.{table};
