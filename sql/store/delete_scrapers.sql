-- Deletes the list of scrapers, before the new one is written.
DELETE FROM weir.scrapers;
