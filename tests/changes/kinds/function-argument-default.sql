-- expect: drifted function listed(integer, integer): definition
CREATE OR REPLACE FUNCTION listed(low integer, high integer DEFAULT 11, OUT a integer, OUT b text)
    RETURNS SETOF record
    LANGUAGE plpgsql SET work_mem = '8MB'
    AS $$ BEGIN RETURN QUERY SELECT n, n::text FROM generate_series(low, high) AS n; END $$;
