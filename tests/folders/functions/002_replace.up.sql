CREATE OR REPLACE FUNCTION log_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what) VALUES (format('%1$s: %1$s %%', TG_OP));
    RETURN NULL;
END;
$$;

SELECT audits() WHERE 'a%b' LIKE '%\%%' ESCAPE '\';
INSERT INTO account (id, note)
SELECT n, '%s %(name)s {0} $1 :x ?' FROM generate_series(1, 2) AS n WHERE n % 2 = 0;
