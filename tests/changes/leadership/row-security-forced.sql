-- expect: drifted table recommendations: row level security
ALTER TABLE recommendations FORCE ROW LEVEL SECURITY;
