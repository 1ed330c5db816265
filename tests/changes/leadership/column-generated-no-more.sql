-- expect: drifted table performance_metrics: column change_percent
ALTER TABLE performance_metrics ALTER COLUMN change_percent DROP EXPRESSION;
