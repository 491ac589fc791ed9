-- The store needs no journal, or gets a new one.
DELETE FROM weir.journal_file;
