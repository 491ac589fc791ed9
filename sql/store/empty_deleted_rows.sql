-- Empties the list of row ids for the next day.
DELETE FROM temp.main.deleted_rows;
