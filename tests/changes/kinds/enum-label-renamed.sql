-- expect: drifted type mood: definition
-- expect: drifted view happy_account: definition
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
