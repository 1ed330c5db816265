-- expect: ok
CREATE OR REPLACE FUNCTION adopted() RETURNS integer LANGUAGE sql AS 'SELECT 2';
