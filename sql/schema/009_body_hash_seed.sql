-- The secret seed of the hashes of bodies, by which a repeated push is recognised. The table has one row, which the start
-- inserts (sql/store/insert_body_hash_seed.sql). A migration that inserted it would give a copy of a store two seeds.
CREATE TABLE weir.body_hash_seed (seed VARCHAR NOT NULL);
