-- expect: drifted table account: column id
ALTER TABLE account ALTER COLUMN id DROP DEFAULT;
