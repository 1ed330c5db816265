-- The constraint is checked by a trigger when it is deferred.
-- expect: drifted table account: constraint account_name_key; trigger account_later; trigger account_touch
ALTER TABLE account DISABLE TRIGGER ALL;
