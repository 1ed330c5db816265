-- expect: drifted table account: statistics account_statistics
DROP STATISTICS account_statistics;
CREATE STATISTICS account_statistics (dependencies) ON name, feeling FROM account;
