-- What is packed: the rows of a day before a row id and a time (microseconds since the epoch).
INSERT INTO temp.main.packing VALUES ($1, make_timestamp($2));
