-- The syntax tree of a statement as JSON, as the engine's own parser sees it. The text is bound, never run here.
-- What is empty is left out: the tree stays small, and a key that is there says something.
SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := false) AS tree;
