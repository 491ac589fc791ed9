-- The labels that each server that scrapes this gateway and writes to it adds to a sample, in the order in
-- which they were learned. So the gateway recognises its own samples from /metrics after a restart too.
CREATE TABLE weir.scrapers (
  position UBIGINT NOT NULL,
  -- JSON: names and values in pairs, in ascending order of the names.
  added VARCHAR NOT NULL
);
