-- The versions of the schema that were run.
SELECT version FROM weir.migrations ORDER BY version;
