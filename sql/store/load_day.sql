-- The columns of a day, in the order in which appends must fill them, and how many rows it has: also the row id that its next
-- row gets, since day tables are append-only.
SELECT name AS column_name, (SELECT count(*) FROM weir.{table})::DOUBLE AS rows
FROM pragma_table_info('{path}')
ORDER BY cid;
