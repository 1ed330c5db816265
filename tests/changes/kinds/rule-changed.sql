-- expect: drifted table account: rule account_keep
CREATE OR REPLACE RULE account_keep AS ON DELETE TO account WHERE OLD.id = 2 DO INSTEAD NOTHING;
