-- The totals contain the first rows of a day. Some of them are lost.
UPDATE target.weir.watermarks SET rows = $2 WHERE date_diff('day', DATE '1970-01-01', day) = $1;
