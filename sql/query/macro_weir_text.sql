-- Limits a collected text as src/query/sandbox/sizes.ts says.
CREATE OR REPLACE TEMP MACRO weir_text(collected) AS (
  CASE
    WHEN strlen(collected) > 98304 THEN error('weir: string_agg collected a text of more than 96 KiB; collect fewer rows with WHERE or a finer GROUP BY, or keep some of them with min(x, n) or arg_min(x, ts, n)')
    ELSE collected
  END
);
