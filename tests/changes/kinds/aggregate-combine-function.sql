-- expect: drifted aggregate total(integer): definition
CREATE OR REPLACE AGGREGATE total(integer)
    (SFUNC = added, STYPE = integer, INITCOND = '0', COMBINEFUNC = added);
