-- Deletes the blocks of the dropped days.
DELETE FROM weir.blocks WHERE day < $1;
