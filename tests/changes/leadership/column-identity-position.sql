-- The next value is a row's business, not the schema's.
-- expect: ok
ALTER TABLE program_resources ALTER COLUMN id RESTART WITH 5000;
