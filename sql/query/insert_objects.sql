-- Adds rows that are given as JSON objects with the keys c0, c1 … to the table of an answer. The second parameter has the
-- type of each key.
INSERT INTO answer SELECT unnest(r) FROM (SELECT unnest(from_json($1::JSON, $2)) AS r);
