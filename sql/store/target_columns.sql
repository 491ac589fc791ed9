-- The tables of the new store, with their columns in their order.
SELECT table_name, column_name
FROM duckdb_columns()
WHERE database_name = 'target' AND schema_name = 'weir'
ORDER BY table_name, column_index;
