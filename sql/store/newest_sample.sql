-- The time of the newest sample of a day, in milliseconds since the epoch.
SELECT epoch_ms(max(ts))::DOUBLE AS newest_ms FROM weir.{table};
