-- Inserts a random seed of the hashes of bodies. It stays the same for the life of the store.
INSERT INTO weir.body_hash_seed SELECT gen_random_uuid()::VARCHAR;
