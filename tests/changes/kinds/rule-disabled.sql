-- expect: drifted table account: rule account_keep
ALTER TABLE account DISABLE RULE account_keep;
