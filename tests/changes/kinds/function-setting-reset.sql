-- expect: drifted function listed(integer, integer): definition
ALTER FUNCTION listed(integer, integer) RESET ALL;
