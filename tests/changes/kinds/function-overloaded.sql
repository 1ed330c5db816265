-- expect: ok
CREATE FUNCTION doubled(n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT n * 2';
CREATE FUNCTION doubled(n integer, m integer) RETURNS integer LANGUAGE sql AS 'SELECT n * m';
