-- Small changes that wait to be moved to their tables, oldest first: one row each, which is one statement, where their
-- own tables would be a transaction over four of them. Read at start alone; readers find it empty.
CREATE TABLE weir.journal (
  -- JSON: src/store/journal/journal.ts.
  entry VARCHAR NOT NULL
);
