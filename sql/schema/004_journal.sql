-- Small changes that are not in their tables yet, oldest first, one row each. Storing such a row takes one
-- statement, where their own tables would take a transaction over four of them. Read at a start only. Readers
-- find it empty.
CREATE TABLE weir.journal (
  -- JSON: src/store/journal/journal.ts.
  entry VARCHAR NOT NULL
);
