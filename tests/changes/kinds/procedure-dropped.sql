-- expect: missing procedure tidy(integer)
DROP PROCEDURE tidy;
