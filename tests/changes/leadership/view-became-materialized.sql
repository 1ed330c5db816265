-- expect: drifted materialized view v_current_cost_categories: kind
DO $$
DECLARE
    definition text := pg_get_viewdef('v_current_cost_categories'::regclass);
BEGIN
    DROP VIEW v_current_cost_categories;
    EXECUTE 'CREATE MATERIALIZED VIEW v_current_cost_categories AS ' || definition;
END
$$;
