-- Limits the list of list_reduce as src/query/sandbox/sizes.ts says.
CREATE OR REPLACE TEMP MACRO weir_reduced(list) AS (
  CASE WHEN len(list) > 1000 THEN error('weir: list_reduce takes lists of at most 1000 elements; list_sum, list_max and the like take more') ELSE list END
);
