-- How many rows of a day will be deleted.
SELECT count(*)::DOUBLE AS rows FROM temp.main.deleted_rows;
