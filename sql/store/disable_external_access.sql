-- Statements can read and write no file but the database. The setting cannot be undone while the database is open.
SET enable_external_access = false;
