ALTER TYPE weekday ADD VALUE IF NOT EXISTS 'sun' BEFORE 'mon';
ALTER TYPE span RENAME TO stretch;
ALTER DOMAIN percent ADD CONSTRAINT percent_is_a_number CHECK (value <> 'NaN');
ALTER SEQUENCE invoice_number INCREMENT 5;
ALTER TABLE reading DETACH PARTITION reading_2024;
ALTER TABLE shift DROP CONSTRAINT shift_no_overlap, ALTER number DROP DEFAULT;
DROP INDEX shift_tags_key;
