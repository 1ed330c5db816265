CREATE OR REPLACE VIEW "Open Orders" AS SELECT "Order Id", "50%" AS "Per Cent" FROM "Order Line";
