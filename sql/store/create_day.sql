-- The table of one UTC day. `live` says that the row counts in running totals. A NULL value is a stale marker.
-- Each attribute gets a VARCHAR column when it is first needed (store/add_attribute_column).
CREATE TABLE weir.{table} (
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE,
  live BOOLEAN NOT NULL
);
