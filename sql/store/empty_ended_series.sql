-- Makes room for the next list of ended series.
DELETE FROM temp.main.ended_series;
