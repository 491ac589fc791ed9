-- Makes room for the next exemplars.
DELETE FROM temp.main.new_exemplars;
