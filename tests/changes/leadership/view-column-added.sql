-- expect: drifted view v_current_cost_categories: definition; column one
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW v_current_cost_categories AS '
        || replace(pg_get_viewdef('v_current_cost_categories'::regclass), 'AS status_label', 'AS status_label, 1 AS one');
END
$$;
