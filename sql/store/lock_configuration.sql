-- No statement can change a setting after this.
SET lock_configuration = true;
