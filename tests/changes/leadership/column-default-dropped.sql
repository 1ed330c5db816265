-- expect: drifted table cost_categories: column trend_percent
ALTER TABLE cost_categories ALTER COLUMN trend_percent DROP DEFAULT;
