-- The day tables and their columns, in the order in which appends must fill them.
SELECT table_name, column_name
FROM duckdb_columns()
WHERE schema_name = 'weir' AND starts_with(table_name, 'samples_')
ORDER BY table_name, column_index;
