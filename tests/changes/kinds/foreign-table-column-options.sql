-- expect: drifted foreign table distant: column id
ALTER FOREIGN TABLE distant ALTER COLUMN id OPTIONS (ADD name 'key');
