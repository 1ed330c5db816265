-- expect: drifted table account: statistics account_statistics
DROP STATISTICS account_statistics;
CREATE STATISTICS account_statistics (ndistinct) ON name, id FROM account;
