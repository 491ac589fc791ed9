-- Inserts a random seed of the hashes of bodies, unless there is one. It stays the same for the life of the store.
INSERT INTO weir.body_hash_seed SELECT gen_random_uuid()::VARCHAR WHERE NOT EXISTS (FROM weir.body_hash_seed);
