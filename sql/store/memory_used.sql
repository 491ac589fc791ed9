-- The memory of the engine in bytes, blocks that it can read from the file again included.
SELECT sum(memory_usage_bytes)::DOUBLE AS bytes FROM duckdb_memory();
