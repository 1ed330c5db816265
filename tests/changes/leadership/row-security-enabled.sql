-- expect: drifted table recommendations: row level security
ALTER TABLE recommendations ENABLE ROW LEVEL SECURITY;
