-- expect: drifted table cost_categories: column color
ALTER TABLE cost_categories ADD COLUMN color text;
