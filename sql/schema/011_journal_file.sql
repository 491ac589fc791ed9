-- A journal that is missing or empty is noticed. The row is there from before the first record of a journal's file until all
-- of its records have been moved and the store is closed.
CREATE TABLE weir.journal_file (
  -- The key in the header of the file, in hexadecimal.
  file_key VARCHAR NOT NULL
);
-- When records were moved last, to say since when a missing journal had changes.
ALTER TABLE weir.journal_moved ADD COLUMN moved_at TIMESTAMP;
