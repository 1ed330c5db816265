-- expect: ok
COMMENT ON TABLE cost_categories IS 'Something else.';
COMMENT ON COLUMN cost_categories.slug IS NULL;
COMMENT ON VIEW v_current_cost_categories IS NULL;
