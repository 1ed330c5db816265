-- expect: drifted table account: index account_lower_idx
DROP INDEX account_lower_idx;
CREATE INDEX account_lower_idx ON account (upper(name)) INCLUDE (feeling) WHERE rate > 0;
