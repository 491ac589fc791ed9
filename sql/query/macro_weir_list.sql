-- Limits a collected list or map as src/query/sandbox/sizes.ts says: its elements, and its bytes as text.
CREATE OR REPLACE TEMP MACRO weir_list(collected) AS (
  CASE
    WHEN len(collected) > 4000 THEN error('weir: list collected more than 4000 elements; collect fewer rows with WHERE or a finer GROUP BY, or keep some of them with min(x, n) or arg_min(x, ts, n)')
    WHEN strlen(collected::VARCHAR) > 98304 THEN error('weir: list collected more than 96 KiB; collect fewer rows with WHERE or a finer GROUP BY, or keep some of them with min(x, n) or arg_min(x, ts, n)')
    ELSE collected
  END
);
