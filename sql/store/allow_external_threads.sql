-- Allows the number of the engine's own threads to change while it runs, see src/store/engine/workers.ts.
SET allowed_configs = ['external_threads'];
