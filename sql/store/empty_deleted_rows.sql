-- Makes room for the next day's.
DELETE FROM temp.main.deleted_rows;
