-- expect: ok
CREATE TABLE note (id integer PRIMARY KEY, recommendation_id integer REFERENCES recommendations);
CREATE VIEW board_pack AS SELECT slug FROM cost_categories;
CREATE TYPE colour AS ENUM ('red');
CREATE SEQUENCE recommendation_number;
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.cost_categories (id text);
