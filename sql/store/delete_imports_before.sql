-- Forgets how far files were read whose last row is gone.
DELETE FROM weir.imports WHERE last_day < make_date(1970, 1, 1) + $1::INTEGER;
