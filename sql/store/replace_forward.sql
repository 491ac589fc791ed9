-- Replaces the newest state of what a destination has received of a day.
UPDATE weir.forwards SET definition = $1 WHERE record_key = $2 AND version = $3;
