-- How many of the engine's threads are the ones that run statements. The others are its own workers. This is
-- the only setting that can still change, see allow_external_threads.sql. {count} is a number as text.
SET external_threads = {count};
