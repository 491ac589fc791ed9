-- The syntax tree of a statement with all its keys, as the engine needs it for query/deserialize.
SELECT json_serialize_sql($1::VARCHAR) AS tree;
