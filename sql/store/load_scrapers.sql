-- What each server that scrapes and writes here adds to labels, the first learned first.
SELECT added FROM weir.scrapers ORDER BY position;
