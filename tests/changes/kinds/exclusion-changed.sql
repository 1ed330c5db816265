-- expect: drifted table account: constraint account_during_excl
ALTER TABLE account
    DROP CONSTRAINT account_during_excl,
    ADD CONSTRAINT account_during_excl EXCLUDE USING gist (during WITH &&) WHERE (during IS NOT NULL);
