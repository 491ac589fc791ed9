-- How many rows of a day are to go.
SELECT count(*)::DOUBLE AS rows FROM temp.main.deleted_rows;
