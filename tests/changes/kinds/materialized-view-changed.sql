-- expect: drifted materialized view account_names: definition; index account_names_id_idx
DROP MATERIALIZED VIEW account_names;
CREATE MATERIALIZED VIEW account_names AS SELECT id, name FROM account WHERE id > 0;
