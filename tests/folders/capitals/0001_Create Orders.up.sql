CREATE TABLE "Order Line" ("Order Id" int PRIMARY KEY, "say ""hi""" text DEFAULT 'it''s', "50%" numeric);
CREATE INDEX "Order Line by ""hi""" ON "Order Line" ("say ""hi""");
CREATE TYPE "Mood; of day" AS ENUM ('a;b', '--c');
CREATE FUNCTION "Do It"("An Arg" int, "Mood; of day") RETURNS int LANGUAGE sql AS 'SELECT 1';
