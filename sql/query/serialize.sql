-- The syntax tree of a statement as JSON, from the engine's own parser. The text is bound, and never run here.
-- Empty values are left out: the tree stays small, and each key that is present has a meaning.
SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := false) AS tree;
