-- How many of the engine's threads are its own may change while it runs, see src/store/engine/workers.ts.
SET allowed_configs = ['external_threads'];
