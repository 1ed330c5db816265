-- expect: ok
CREATE FUNCTION leadership_feedback_set_updated_at(n integer) RETURNS integer
    LANGUAGE sql AS 'SELECT n';
