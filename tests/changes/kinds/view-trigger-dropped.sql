-- expect: drifted view written_account: trigger written_account_insert
DROP TRIGGER written_account_insert ON written_account;
