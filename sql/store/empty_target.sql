-- Some tables of a new store have rows.
DELETE FROM target.weir.{table};
