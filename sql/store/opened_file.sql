-- What a start reads first: the newest schema that the file has, and the seed of the hashes of bodies. Fails in a file of an earlier
-- schema, which lacks a table, and in a new file.
SELECT max(version) AS version, (SELECT max(seed) FROM weir.body_hash_seed) AS seed FROM weir.migrations;
