-- expect: drifted function doubled(integer): definition
CREATE OR REPLACE FUNCTION doubled(n integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN n + n;
