-- Labels that became columns.
SELECT metric, label, epoch_ms(decided_at) AS decided_at_ms FROM weir.demotions;
