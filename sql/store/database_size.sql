-- Blocks of the file that hold data, and those that are free to be used again.
SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size();
