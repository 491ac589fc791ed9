-- Empties the list of ended series.
DELETE FROM temp.main.ended_series;
