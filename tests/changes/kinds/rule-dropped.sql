-- expect: drifted table account: rule account_keep
DROP RULE account_keep ON account;
