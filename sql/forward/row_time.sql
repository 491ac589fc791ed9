-- The time of a row, in milliseconds since the epoch. $1: its id.
SELECT epoch_ms(ts)::DOUBLE AS ms FROM weir.{table} WHERE rowid = $1;
