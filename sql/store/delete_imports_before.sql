-- Deletes the import records of files whose last row is dropped.
DELETE FROM weir.imports WHERE last_day < make_date(1970, 1, 1) + $1::INTEGER;
