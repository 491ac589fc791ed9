-- How much memory the engine may use. If it uses more, it frees blocks that it can read from the file again. {limit} is a
-- text such as 192MiB.
SET memory_limit = '{limit}';
