-- Frees the samples of a group of metrics.
DROP TABLE IF EXISTS temp.main.archived_group;
