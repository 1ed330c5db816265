-- expect: drifted procedure tidy(integer): definition
CREATE OR REPLACE PROCEDURE tidy(keep integer) LANGUAGE plpgsql AS 'BEGIN NULL; END';
