-- Runs after 2: versions are numbers, not words.
CREATE TABLE posts (
    id bigserial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    mood enum_mood DEFAULT 'neutral'
);
CREATE INDEX ON posts (user_id)
