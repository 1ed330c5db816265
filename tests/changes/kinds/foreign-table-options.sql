-- expect: drifted foreign table distant: foreign server
ALTER FOREIGN TABLE distant OPTIONS (SET name 'near');
