-- expect: drifted table account: options
ALTER TABLE account RESET (fillfactor);
