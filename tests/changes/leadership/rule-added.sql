-- expect: drifted table recommendations: rule keep
CREATE RULE keep AS ON DELETE TO recommendations DO INSTEAD NOTHING;
