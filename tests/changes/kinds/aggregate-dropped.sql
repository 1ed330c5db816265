-- expect: missing aggregate total(integer)
DROP AGGREGATE total(integer);
