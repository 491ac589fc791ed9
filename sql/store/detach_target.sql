-- Closes the new database. Its file is complete and synced then.
USE memory;
DETACH target;
