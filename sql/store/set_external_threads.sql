-- How many of the engine's threads are the ones that run statements. The others are its own workers. {count} is a number
-- as text.
SET external_threads = {count};
