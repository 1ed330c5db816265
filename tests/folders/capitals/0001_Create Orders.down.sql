DROP FUNCTION "Do It"(int, "Mood; of day");
DROP TYPE "Mood; of day";
DROP TABLE "Order Line";
