-- What forwarding keeps: which rows of each day a destination has received. Append-only, as weir.groups is. The row of a key
-- with the highest version counts. A row without a definition says that the record was deleted.
CREATE TABLE weir.forwards (
  version UBIGINT NOT NULL,
  -- The name of the destination, its stream, and the day: NAME/samples/2026-11-25.
  record_key VARCHAR NOT NULL,
  -- JSON (src/model/records.ts: ForwardedRows).
  definition VARCHAR
);
