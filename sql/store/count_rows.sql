-- How many rows a day has beside its blocks.
SELECT count(*)::DOUBLE AS rows FROM weir.{table};
