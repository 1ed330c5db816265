-- expect: ok
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT UPDATE (slug) ON cost_categories TO pg_read_all_data;
REVOKE EXECUTE ON FUNCTION leadership_feedback_set_updated_at() FROM PUBLIC;
