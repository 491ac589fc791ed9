-- The seed of the hashes of bodies. No row if the store has none yet.
SELECT seed FROM weir.body_hash_seed;
