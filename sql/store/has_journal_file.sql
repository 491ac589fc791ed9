-- Whether the schema of the store has the table of the journal's file. Inspections open stores of earlier versions.
SELECT table_name FROM duckdb_tables() WHERE schema_name = 'weir' AND table_name = 'journal_file';
