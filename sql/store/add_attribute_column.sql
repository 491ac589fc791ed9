-- A column for an attribute that a day needs for the first time.
ALTER TABLE weir.{table} ADD COLUMN {column} VARCHAR;
