-- expect: ok
ALTER TYPE mood OWNER TO pg_database_owner;
ALTER SEQUENCE invoice_number OWNER TO pg_database_owner;
ALTER MATERIALIZED VIEW account_names OWNER TO pg_database_owner;
GRANT USAGE ON TYPE address TO pg_read_all_data;
COMMENT ON TYPE mood IS 'How it feels.';
COMMENT ON FUNCTION doubled(integer) IS 'Twice.';
COMMENT ON INDEX account_lower_idx IS 'For look-ups.';
