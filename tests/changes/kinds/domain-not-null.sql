-- expect: drifted type share: definition
ALTER DOMAIN share DROP NOT NULL;
