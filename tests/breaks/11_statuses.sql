-- says: not known when
ALTER TABLE recommendations DROP CONSTRAINT recommendations_status_changed_at_check;
UPDATE recommendations SET status_changed_at = NULL WHERE status = 'accepted';
