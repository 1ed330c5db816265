-- expect: drifted view v_current_cost_categories: definition
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW v_current_cost_categories AS '
        || replace(pg_get_viewdef('v_current_cost_categories'::regclass), 'Priority', 'Urgent');
END
$$;
