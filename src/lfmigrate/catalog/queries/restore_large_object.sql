-- Give a large object that was created again its privileges, its comment and its owner.
--
-- The setting lfmigrate.large_object is a jsonb object as in large_objects.sql. What cannot be restored, because a role does not exist or
-- the current one may not, is reported by one notice each, with SQLSTATE LF007.
DO $restore$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.large_object')::jsonb;
    item jsonb;
BEGIN
    FOR item IN SELECT g.value FROM jsonb_array_elements(kept -> 'grants') AS g
    LOOP
        BEGIN
            EXECUTE format('GRANT %s ON LARGE OBJECT %s TO %s%s', item ->> 1, kept ->> 'number',
                CASE item ->> 0 WHEN '' THEN 'PUBLIC' ELSE quote_ident(item ->> 0) END, CASE WHEN (item ->> 2)::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
        EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
            RAISE INFO USING ERRCODE = 'LF007', MESSAGE = format('privileges of %s: %s', item ->> 0, SQLERRM);
        END;
    END LOOP;
    IF kept ->> 'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', kept ->> 'number', kept ->> 'comment');
    END IF;
    BEGIN
        EXECUTE format('ALTER LARGE OBJECT %s OWNER TO %I', kept ->> 'number', kept ->> 'owner');
    EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
        RAISE INFO USING ERRCODE = 'LF007', MESSAGE = format('owner %s: %s', kept ->> 'owner', SQLERRM);
    END;
END
$restore$
