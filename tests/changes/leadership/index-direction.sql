-- expect: drifted table recommendations: index recommendations_priority_estimated_savings_idx
DROP INDEX recommendations_priority_estimated_savings_idx;
CREATE INDEX recommendations_priority_estimated_savings_idx
    ON recommendations (priority, estimated_savings DESC);
