-- expect: drifted foreign table distant: foreign server
CREATE SERVER nearby FOREIGN DATA WRAPPER nowhere;
DROP FOREIGN TABLE distant;
CREATE FOREIGN TABLE distant (id integer) SERVER nearby OPTIONS (name 'far');
