-- happy_account: the accounts in a good mood, through which one may write
CREATE OR REPLACE VIEW happy_account WITH (security_barrier) AS
SELECT account.id, account.name, account.feeling
FROM account
WHERE account.feeling = 'happy'
WITH LOCAL CHECK OPTION;
