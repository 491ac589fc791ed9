-- The schema versions that the file has.
SELECT version FROM weir.migrations ORDER BY version;
