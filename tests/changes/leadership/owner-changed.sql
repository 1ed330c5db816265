-- expect: ok
ALTER TABLE cost_categories OWNER TO pg_database_owner;
ALTER VIEW v_current_cost_categories OWNER TO pg_database_owner;
ALTER FUNCTION leadership_feedback_set_updated_at() OWNER TO pg_database_owner;
