-- expect: drifted table account: policy account_readers
DROP POLICY account_readers ON account;
CREATE POLICY account_readers ON account FOR DELETE TO pg_read_all_data USING (rate > 0);
