-- expect: drifted view written_account: rule aside
CREATE RULE aside AS ON UPDATE TO written_account DO INSTEAD NOTHING;
