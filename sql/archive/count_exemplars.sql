-- How many exemplars a day has: from $1 up to and without $2, microseconds since the epoch.
SELECT count(*) AS rows FROM weir.exemplars WHERE ts >= make_timestamp($1) AND ts < make_timestamp($2);
