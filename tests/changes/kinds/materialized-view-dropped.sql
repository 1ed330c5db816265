-- expect: missing materialized view account_names
DROP MATERIALIZED VIEW account_names;
