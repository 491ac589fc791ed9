-- How many of the engine's threads are its own may change while it runs, see src/store/workers.ts.
SET allowed_configs = ['external_threads'];
