-- Files may begin with the same line: an import has a name of its own, and what tells its file from others.
ALTER TABLE weir.imports ADD COLUMN first_line_hash VARCHAR DEFAULT '';
ALTER TABLE weir.imports ADD COLUMN identity VARCHAR DEFAULT '';
UPDATE weir.imports SET first_line_hash = file;
