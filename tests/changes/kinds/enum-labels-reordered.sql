-- expect: drifted type mood: definition
UPDATE pg_enum SET enumsortorder = 0.5 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'happy';
