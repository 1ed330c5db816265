-- expect: drifted table account: trigger account_touch
CREATE OR REPLACE TRIGGER account_touch BEFORE UPDATE OF name ON account
    FOR EACH ROW EXECUTE FUNCTION touch();
