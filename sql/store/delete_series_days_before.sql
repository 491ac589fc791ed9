-- Deletes which series have samples in the dropped days.
DELETE FROM weir.series_days WHERE day < make_date(1970, 1, 1) + $1::INTEGER;
