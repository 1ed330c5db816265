-- expect: drifted function total(integer): kind; definition
DROP AGGREGATE total(integer);
CREATE FUNCTION total(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
