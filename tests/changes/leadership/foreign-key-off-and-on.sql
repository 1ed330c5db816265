-- expect: ok
ALTER TABLE program_resources DISABLE TRIGGER ALL;
ALTER TABLE program_resources ENABLE TRIGGER ALL;
