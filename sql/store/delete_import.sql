-- Deletes how far a file was read, before its new offset is written.
DELETE FROM weir.imports WHERE file = $1;
