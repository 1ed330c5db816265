-- expect: drifted table account: trigger account_later
DROP TRIGGER account_later ON account;
CREATE CONSTRAINT TRIGGER account_later AFTER INSERT ON account
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch();
