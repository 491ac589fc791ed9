-- The new database, which has the schema and no rows.
ATTACH '{path}' AS target;
