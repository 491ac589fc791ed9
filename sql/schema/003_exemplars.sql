-- Exemplars: single measurements that stand for others of their series, with labels that lead to more, such as a
-- trace's id. The newest ones, bounded. They are not samples, and no query counts them.
CREATE TABLE weir.exemplars (
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL
);

CREATE VIEW main.exemplars AS
SELECT e.ts, s.metric, s.labels, e.value, e.labels AS exemplar
FROM weir.exemplars AS e
JOIN weir.series AS s ON s.series_id = e.series_id;
