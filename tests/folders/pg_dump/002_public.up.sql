CREATE TABLE stock (item_id integer NOT NULL REFERENCES inventory.item, pieces integer);
ALTER TABLE inventory.item ADD COLUMN weight numeric;
