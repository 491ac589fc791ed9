-- Reads one column of a range of rows.
SELECT max(hash({column})) AS content FROM source.weir.{table} WHERE rowid >= $1 AND rowid < $2;
