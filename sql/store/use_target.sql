-- Names without a database are those of the new one.
USE target;
