-- Puts the rows that stay in place of a day's table.
DROP TABLE weir.{table};
ALTER TABLE weir.{rows} RENAME TO {table};
