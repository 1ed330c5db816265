-- expect: missing function leadership_feedback_stamp_status_change()
-- expect: drifted table recommendations: trigger recommendations_stamp_given_name; trigger recommendations_stamp_status_change
CREATE SCHEMA elsewhere;
ALTER FUNCTION leadership_feedback_stamp_status_change() SET SCHEMA elsewhere;
