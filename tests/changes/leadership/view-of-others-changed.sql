-- expect: ok
CREATE VIEW board_pack AS SELECT slug FROM cost_categories;
CREATE OR REPLACE VIEW board_pack AS SELECT slug, category_name FROM cost_categories;
