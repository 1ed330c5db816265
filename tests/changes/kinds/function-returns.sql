-- expect: drifted function doubled(text): definition
DROP FUNCTION doubled(text);
CREATE FUNCTION doubled(n text) RETURNS varchar LANGUAGE sql STABLE STRICT AS 'SELECT n || n';
