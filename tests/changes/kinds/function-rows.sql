-- expect: drifted function listed(integer, integer): definition
ALTER FUNCTION listed(integer, integer) ROWS 7;
