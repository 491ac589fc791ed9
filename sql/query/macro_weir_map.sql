-- Limits a map of counts as src/query/sandbox/sizes.ts says: its elements, and its bytes as text.
CREATE OR REPLACE TEMP MACRO weir_map(collected) AS (
  CASE
    WHEN len(map_keys(collected)) > 4000 THEN error('weir: histogram counted more than 4000 different values; count ranges of them, such as histogram(x, [10, 100])')
    WHEN strlen(collected::VARCHAR) > 98304 THEN error('weir: histogram counted values of more than 96 KiB; count parts of them')
    ELSE collected
  END
);
