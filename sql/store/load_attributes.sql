-- The columns of the attributes.
SELECT attribute, column_name FROM weir.attributes;
