-- expect: drifted type share: constraint share_check
ALTER DOMAIN share DROP CONSTRAINT share_check;
ALTER DOMAIN share ADD CONSTRAINT share_check CHECK (VALUE > 0);
