-- expect: drifted materialized view account_names: index account_names_id_idx
DROP INDEX account_names_id_idx;
