-- expect: drifted table account: row level security
ALTER TABLE account DISABLE ROW LEVEL SECURITY;
