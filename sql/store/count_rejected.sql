-- How many rejected samples are stored.
SELECT count(*) AS rows FROM weir.rejected;
