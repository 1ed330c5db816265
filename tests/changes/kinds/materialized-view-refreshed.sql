-- expect: ok
INSERT INTO account (name, rate) VALUES ('a', 1);
REFRESH MATERIALIZED VIEW CONCURRENTLY account_names;
