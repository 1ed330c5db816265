-- expect: drifted function leadership_feedback_set_updated_at(): definition
ALTER FUNCTION leadership_feedback_set_updated_at() SET timezone = 'UTC';
