-- Statements can read and write the files of two folders, although enable_external_access is off: those that the archive writes,
-- and those that it has (src/archive/README.md). The sandbox rejects files in statements of requests.
SET allowed_directories = ['{own}', '{archived}'];
