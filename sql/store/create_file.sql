-- Makes a database file in the format that new stores have, from a database in memory. The statement names the format, because
-- a setting of the engine would also change the syntax trees of json_serialize_sql().
--
-- From version 1.3 of DuckDB on, the texts of a dictionary are compressed too. From 1.5 on, numbers are compressed whatever
-- the size of a block is. Each column of a row group takes whole blocks: with 262,144 bytes, as usual, a fifth of the file was
-- their unused ends.
ATTACH '{path}' AS new_file (STORAGE_VERSION 'v1.5.0', BLOCK_SIZE 131072);
DETACH new_file;
