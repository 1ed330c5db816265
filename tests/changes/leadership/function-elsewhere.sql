-- expect: ok
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.leadership_feedback_set_updated_at() RETURNS integer
    LANGUAGE sql AS 'SELECT 1';
