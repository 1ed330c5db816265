ALTER TABLE todos ADD COLUMN owner uuid REFERENCES "user" (user_id);
