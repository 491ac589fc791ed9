-- The labels that each server that scrapes and writes here adds, in the order in which they were learned.
SELECT added FROM weir.scrapers ORDER BY position;
