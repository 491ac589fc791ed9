-- Makes way for the newer list of scrapers.
DELETE FROM weir.scrapers;
