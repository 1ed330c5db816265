-- expect: drifted type share: constraint at_most_all
ALTER DOMAIN share ADD CONSTRAINT at_most_all CHECK (VALUE <= 100);
