-- expect: drifted function leadership_feedback_set_updated_at(): definition
CREATE OR REPLACE FUNCTION leadership_feedback_set_updated_at() RETURNS trigger
    LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
