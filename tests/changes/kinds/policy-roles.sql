-- expect: drifted table account: policy account_readers
ALTER POLICY account_readers ON account TO PUBLIC;
