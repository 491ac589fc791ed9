-- Pushgateway's groups: which series each exposes. Append-only, like all tables that change often. The row of a
-- group with the highest version counts. A row without a definition says that the group was deleted.
CREATE TABLE weir.groups (
  version UBIGINT NOT NULL,
  -- The grouping labels in JSON, in ascending order of their names.
  grouping_key VARCHAR NOT NULL,
  -- JSON: families with their types, and their series by id. Values and push times are samples of these series.
  definition VARCHAR
);
