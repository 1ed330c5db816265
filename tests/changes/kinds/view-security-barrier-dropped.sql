-- expect: drifted view happy_account: options
ALTER VIEW happy_account RESET (security_barrier);
