-- A column that was made again stands last; nothing but SELECT * sees it.
-- expect: ok
ALTER TABLE program_resources DROP COLUMN author_role;
ALTER TABLE program_resources ADD COLUMN author_role varchar(255);
