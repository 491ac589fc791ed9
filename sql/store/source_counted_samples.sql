-- How many samples of each day the totals contain, by the newest snapshot of them.
SELECT date_diff('day', DATE '1970-01-01', day)::DOUBLE AS day, rows::DOUBLE AS rows
FROM source.weir.watermarks
WHERE generation = (SELECT max(generation) FROM source.weir.watermarks);
