-- Ärzte, Kosten in €, и ключи: 値段 👩‍⚕️
CREATE TABLE "größe" ("schlüssel" integer PRIMARY KEY, "値段" numeric, naïve text DEFAULT 'naïve – «ok» 👍');
CREATE INDEX "größe_値段_idx" ON "größe" ("値段");
COMMENT ON TABLE "größe" IS 'Wie groß? ✓';
INSERT INTO "größe" VALUES (1, 2, 'Δ'), (2, 3, U&'\00e9');
CREATE FUNCTION ключ(имя text) RETURNS text LANGUAGE sql AS $ключ$ SELECT 'ё; ' || имя $ключ$;
