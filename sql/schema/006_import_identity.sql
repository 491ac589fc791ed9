-- Files may have the same first line. So an import has a name of its own, and an identity that distinguishes
-- its file.
ALTER TABLE weir.imports ADD COLUMN first_line_hash VARCHAR DEFAULT '';
ALTER TABLE weir.imports ADD COLUMN identity VARCHAR DEFAULT '';
UPDATE weir.imports SET first_line_hash = file;
