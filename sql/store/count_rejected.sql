-- How many dead letters there are.
SELECT count(*) AS rows FROM weir.rejected;
