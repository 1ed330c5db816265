-- expect: drifted table distant: kind; foreign server
DROP FOREIGN TABLE distant;
CREATE TABLE distant (id integer);
