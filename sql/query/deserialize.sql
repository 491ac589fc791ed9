-- The text of a syntax tree. The tree is bound, and never run here.
SELECT json_deserialize_sql($1::JSON) AS text;
