-- Allows two settings to change while the engine runs: the number of its own threads (src/store/engine/workers.ts), and
-- the limit of its memory (src/store/cached-blocks.ts).
SET allowed_configs = ['external_threads', 'memory_limit'];
