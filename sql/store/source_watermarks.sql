-- How many rows of each day the newest snapshot contains.
SELECT date_diff('day', DATE '1970-01-01', day) AS day, rows
FROM target.weir.watermarks
WHERE generation = (SELECT max(generation) FROM target.weir.watermarks);
