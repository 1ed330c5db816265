CREATE TABLE account (id int PRIMARY KEY, balance numeric NOT NULL DEFAULT 0, note text);
CREATE TABLE audit (n int GENERATED ALWAYS AS IDENTITY, what text NOT NULL);

-- A semicolon; in a comment, and one in a body.
CREATE FUNCTION transfer(payer int, payee int, amount numeric) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    words text := $q$a 'quoted' $$ text;$q$;
BEGIN
    UPDATE account SET balance = balance - amount WHERE id = payer; -- '
    UPDATE account SET balance = balance + amount WHERE id = payee; /* ; */
    INSERT INTO audit (what) VALUES (words);
END;
$body$;

CREATE FUNCTION log_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what) VALUES (TG_OP || ';' || coalesce(NEW.id, OLD.id));
    RETURN NULL;
END;
$$;

CREATE TRIGGER log_account AFTER INSERT OR UPDATE OR DELETE ON account
    FOR EACH ROW EXECUTE FUNCTION log_account();

CREATE FUNCTION audits() RETURNS bigint LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT CASE WHEN count(*) > 0 THEN count(*) ELSE 0 END FROM audit;
END;

CREATE PROCEDURE forget(before int) LANGUAGE sql
BEGIN ATOMIC
    DELETE FROM audit WHERE n < before;
    INSERT INTO audit (what) VALUES ('forgot; everything');
END;

CREATE FUNCTION escaped() RETURNS text LANGUAGE sql IMMUTABLE AS E'SELECT E\'it\\\'s; fine\'::text';

DO $$
BEGIN
    FOR n IN 1..3 LOOP
        EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, %I text DEFAULT %L)', 'shard_' || n, 'a b', '100 %');
    END LOOP;
END
$$;
