-- expect: missing function leadership_feedback_stamp_status_change()
-- expect: drifted table recommendations: trigger recommendations_stamp_given_name; trigger recommendations_stamp_status_change
ALTER FUNCTION leadership_feedback_stamp_status_change() RENAME TO stamp;
