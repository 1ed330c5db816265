-- expect: drifted type code: definition
DROP DOMAIN code;
CREATE DOMAIN code AS text;
