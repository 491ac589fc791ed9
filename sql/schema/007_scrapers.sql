-- What each server that scrapes this gateway and writes to it adds to the labels of a sample, the first learned first:
-- what it sends back of /metrics is known by that after a restart too.
CREATE TABLE weir.scrapers (
  position UBIGINT NOT NULL,
  -- JSON: names and values in pairs, in ascending order of the names.
  added VARCHAR NOT NULL
);
