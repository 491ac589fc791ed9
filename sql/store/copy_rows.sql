-- Copies a range of rows, without the columns that cannot be read.
INSERT INTO target.weir.{table} BY NAME
SELECT COLUMNS('{columns}') FROM source.weir.{table} WHERE rowid >= $1 AND rowid < $2;
