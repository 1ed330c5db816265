-- expect: drifted table account: constraint account_name_key
ALTER TABLE account
    DROP CONSTRAINT account_name_key,
    ADD CONSTRAINT account_name_key UNIQUE (name) DEFERRABLE;
