-- Of the engine's threads, how many are those that ask for statements; the others are workers of its own. The one
-- setting that is not final, see allow_external_threads.sql. {count} is a number as text.
SET external_threads = {count};
