-- What the archive has of each day (src/archive/README.md). Append-only, as weir.forwards is. The row of a key with the highest
-- version counts. A row without a definition says that the record was deleted.
CREATE TABLE weir.archives (
  version UBIGINT NOT NULL,
  -- The day: 2026-11-25.
  record_key VARCHAR NOT NULL,
  -- JSON (src/model/records.ts: ArchivedRows).
  definition VARCHAR
);
