-- expect: missing type address
-- expect: drifted table account: column home
-- expect: missing function described(address)
ALTER TYPE address RENAME TO place;
