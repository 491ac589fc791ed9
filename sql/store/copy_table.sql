-- Copies a table, in the order of its rows.
INSERT INTO target.weir.{table} BY NAME SELECT * FROM source.weir.{table};
