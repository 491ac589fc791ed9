-- The columns of a day, with their places, in which appends must fill them, and how many rows the day has: also the row id that
-- its next row gets, since day tables are append-only.
SELECT '{table}' AS day_table, cid::INTEGER AS place, name AS column_name,
  (SELECT count(*) FROM weir.{table})::DOUBLE AS rows
FROM pragma_table_info('{path}');
