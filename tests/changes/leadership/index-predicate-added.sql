-- expect: drifted table recommendations: index recommendations_status_idx
DROP INDEX recommendations_status_idx;
CREATE INDEX recommendations_status_idx ON recommendations (status) WHERE status <> 'rejected';
