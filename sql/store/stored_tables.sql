-- The tables of the store, and how many rows each has at most. duckdb_columns() would take five times as long: it makes the
-- columns of all views of the system.
SELECT table_name, estimated_size::DOUBLE AS rows
FROM duckdb_tables()
WHERE schema_name = 'weir'
ORDER BY table_name;
