-- Makes way for the newer list of last pushes.
DELETE FROM weir.last_pushes;
