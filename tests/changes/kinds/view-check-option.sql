-- expect: drifted view happy_account: options
ALTER VIEW happy_account SET (check_option = cascaded);
