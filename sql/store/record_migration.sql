-- Records that a migration was run, in the same transaction as the migration.
INSERT INTO weir.migrations VALUES ($1, $2, make_timestamp($3));
