-- Settings are final from here on.
SET lock_configuration = true;
