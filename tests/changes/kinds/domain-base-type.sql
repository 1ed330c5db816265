-- expect: drifted type code: definition
DROP DOMAIN code;
CREATE DOMAIN code AS varchar(10) COLLATE "C";
