-- expect: missing table Odd Name
DROP TABLE "Odd Name";
