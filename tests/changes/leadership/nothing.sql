-- expect: ok
SELECT 1;
