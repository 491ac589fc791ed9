-- The tables of the store to copy, with their columns in their order.
SELECT table_name, column_name
FROM duckdb_columns()
WHERE database_name = 'source' AND schema_name = 'weir'
ORDER BY table_name, column_index;
