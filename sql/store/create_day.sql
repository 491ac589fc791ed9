-- The partition of one UTC day. `live` says that the row counts in running totals; a NULL value is a stale marker.
-- Attributes get a VARCHAR column each when first needed (store/add_attribute_column).
CREATE TABLE weir.{table} (
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE,
  live BOOLEAN NOT NULL
);
