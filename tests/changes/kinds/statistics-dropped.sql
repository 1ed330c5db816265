-- expect: drifted table account: statistics account_statistics
DROP STATISTICS account_statistics;
