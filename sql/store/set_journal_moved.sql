-- The journal continues from this change.
UPDATE target.weir.journal_moved SET sequence = $1;
