-- The view main.series with only the series of a caller, which are in {own_series}. The ids are counted from 1, because the
-- stored ones say how many series others have.
CREATE OR REPLACE TEMP TABLE {own_view} AS
SELECT row_number() OVER (ORDER BY s.series_id)::UINTEGER AS series_id, s.metric, s.kind, s.labels,
  min(d.day) AS first_day, max(d.day) AS last_day
FROM {own_series} AS s
JOIN weir.series_days AS d ON d.series_id = s.series_id
GROUP BY s.series_id, s.metric, s.kind, s.labels;
