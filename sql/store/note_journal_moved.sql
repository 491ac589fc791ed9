-- Notes the last record of the journal's file that is moved to the tables, in the transaction that moves it.
UPDATE weir.journal_moved SET sequence = $1;
