DROP FUNCTION ключ(text);
DROP TABLE "größe";
