-- expect: drifted table account: column tags
ALTER TABLE account ALTER COLUMN tags TYPE varchar(5)[];
