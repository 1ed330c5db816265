-- expect: drifted table account: options
ALTER TABLE account SET (fillfactor = 90);
