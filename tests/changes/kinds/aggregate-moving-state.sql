-- expect: drifted aggregate total(integer): definition
CREATE OR REPLACE AGGREGATE total(integer) (
    SFUNC = added, STYPE = integer, INITCOND = '0',
    MSFUNC = added, MINVFUNC = added, MSTYPE = integer, MINITCOND = '0'
);
