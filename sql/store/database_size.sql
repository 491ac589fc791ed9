-- How many blocks of the file contain data, and how many are free to be used again.
SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size();
