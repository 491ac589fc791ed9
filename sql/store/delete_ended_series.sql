-- Deletes the series that have no row in any day.
DELETE FROM weir.series WHERE series_id IN (SELECT series_id FROM temp.main.ended_series);
