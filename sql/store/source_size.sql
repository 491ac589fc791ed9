-- Bytes of the blocks that have data.
SELECT block_size * used_blocks AS used_bytes FROM pragma_database_size() WHERE database_name = 'source';
