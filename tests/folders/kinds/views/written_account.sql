-- written_account: a view with a default and a trigger of its own
CREATE OR REPLACE VIEW written_account AS
SELECT account.id, account.name
FROM account;

ALTER VIEW written_account ALTER COLUMN name SET DEFAULT 'nobody';

CREATE OR REPLACE TRIGGER written_account_insert INSTEAD OF INSERT ON written_account
    FOR EACH ROW EXECUTE FUNCTION touch();
