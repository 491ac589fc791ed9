-- In which days a series has samples, of a day whose rows were read.
INSERT INTO target.weir.series_days
SELECT DISTINCT series_id, DATE '1970-01-01' + $1::INTEGER
FROM target.weir.{table}
WHERE series_id NOT IN (SELECT series_id FROM target.weir.series_days WHERE day = DATE '1970-01-01' + $1::INTEGER);
