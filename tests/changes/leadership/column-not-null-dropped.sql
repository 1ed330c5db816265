-- expect: drifted table cost_categories: column category_name
ALTER TABLE cost_categories ALTER COLUMN category_name DROP NOT NULL;
