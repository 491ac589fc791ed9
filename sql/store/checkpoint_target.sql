-- Writes the rows from the log to the file.
CHECKPOINT target;
