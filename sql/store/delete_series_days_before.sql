-- Forgets which series had samples in days that are gone.
DELETE FROM weir.series_days WHERE day < make_date(1970, 1, 1) + $1::INTEGER;
