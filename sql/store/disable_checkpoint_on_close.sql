-- Closing the file must not move the log. The store checkpoints before it closes, and a start that finds damage changes
-- no file.
PRAGMA disable_checkpoint_on_shutdown;
