-- expect: drifted type share: definition
ALTER DOMAIN share SET DEFAULT 1;
