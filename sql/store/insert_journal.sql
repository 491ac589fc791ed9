-- Appends an entry to the journal.
INSERT INTO weir.journal (entry) VALUES ($1);
