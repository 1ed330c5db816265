CREATE OR REPLACE VIEW übersicht AS SELECT "schlüssel", ключ(naïve) AS имя FROM "größe";
