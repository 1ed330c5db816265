-- expect: drifted view written_account: column name
ALTER VIEW written_account ALTER COLUMN name DROP DEFAULT;
