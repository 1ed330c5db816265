-- expect: ok
ALTER TABLE cost_categories ALTER COLUMN slug SET STATISTICS 500;
ALTER TABLE cost_categories ALTER COLUMN slug SET (n_distinct = 20);
ANALYZE;
