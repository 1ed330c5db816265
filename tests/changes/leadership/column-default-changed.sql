-- expect: drifted table performance_metrics: column display_format
ALTER TABLE performance_metrics ALTER COLUMN display_format SET DEFAULT 'percent';
