-- How many rows do these tables have, before a statement that may lose them? Locks them as the statement would.
--
-- The setting lfmigrate.measure is a jsonb object: `names` as a statement has them, or `ids` (oids); partitions and child tables are
-- included. If `digest` is true, each column gets a digest of its values, which does not depend on the order of the rows.
-- If `again` is true, the tables that were asked for last are asked for again, and the digests are those of the values
-- cast to the types that they had then; a table is left out if there is no such cast.
-- Tables that do not exist, or that the role may not lock, are left out: the statement will fail.
--
-- Raises one notice for each table, with SQLSTATE LF005, which no setting suppresses; the message is a jsonb object:
--   {id, schema, name, file, rows, columns: {number: [name, type, how many values are not null, digest]}}
-- What is changed for that, settings included, is undone before the notice. The setting lfmigrate.measured has all of them, by id.
DO $measure$
DECLARE
    asked CONSTANT jsonb := current_setting('lfmigrate.measure')::jsonb;
    again CONSTANT boolean := (asked ->> 'again')::boolean;
    earlier CONSTANT jsonb := CASE WHEN again THEN current_setting('lfmigrate.measured')::jsonb ELSE '{}' END;
    later jsonb := '{}';
    found record;
    measured jsonb;
    every text;
BEGIN
    FOR found IN
        WITH RECURSIVE tree AS (
            SELECT to_regclass(n.name)::oid AS oid FROM jsonb_array_elements_text(asked -> 'names') AS n (name)
            UNION
            SELECT i.oid::oid FROM jsonb_array_elements_text(asked -> 'ids') AS i (oid)
            UNION
            SELECT split_part(e.id, ':', 2)::oid FROM jsonb_object_keys(earlier) AS e (id)
            UNION
            SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
        )
        SELECT c.oid, c.relkind, c.relowner, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS label
        FROM tree
        JOIN pg_class AS c ON c.oid = tree.oid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        ORDER BY c.relkind <> 'p', c.oid
    LOOP
        measured := NULL;
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', found.label);
            IF found.relkind = 'r' THEN
                BEGIN
                    PERFORM set_config(s.name, s.setting, true)
                    FROM (VALUES ('row_security', 'off'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'),
                        ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('lc_monetary', 'C'), ('search_path', '')) AS s (name, setting);
                    IF row_security_active(found.oid) THEN
                        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', found.label);
                    END IF;
                    SELECT string_agg(format(' || jsonb_build_object(%L, jsonb_build_array(%L, %L, count(%I), %s))', a.attnum, a.attname, a.type, a.attname,
                        CASE WHEN (asked ->> 'digest')::boolean
                            THEN format('(count(%1$I) + coalesce(sum(hashtextextended(CAST(%1$I AS %2$s)::text, 0)), 0))::text', a.attname, coalesce(a.was, a.type))
                            ELSE 'NULL' END), '')
                    INTO every
                    FROM (
                        SELECT a.attnum, a.attname, t.type, earlier #>> ARRAY['pg_class:' || a.attrelid, 'columns', a.attnum::text, '1'] AS was
                        FROM pg_attribute AS a
                        CROSS JOIN LATERAL format_type(a.atttypid, a.atttypmod) AS t (type)
                        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
                    ) AS a;
                    EXECUTE format('SELECT jsonb_build_object(''id'', %L, ''schema'', %L, ''name'', %L, ''file'', %L, ''rows'', count(*), ''columns'', ''{}''::jsonb%s) FROM ONLY %s',
                        'pg_class:' || found.oid, found.nspname, found.relname,
                        pg_relation_filenode(found.oid), every, found.label) INTO measured;
                    RAISE EXCEPTION USING ERRCODE = 'LF006';
                EXCEPTION WHEN SQLSTATE 'LF006' THEN
                    NULL;
                END;
            END IF;
        EXCEPTION
            WHEN insufficient_privilege OR undefined_table THEN
                measured := NULL;
            WHEN others THEN
                IF NOT again THEN
                    RAISE;
                END IF;
                measured := NULL;
        END;
        IF measured IS NOT NULL THEN
            later := later || jsonb_build_object(measured ->> 'id', measured);
            RAISE INFO USING ERRCODE = 'LF005', MESSAGE = measured::text;
        END IF;
    END LOOP;
    PERFORM set_config('lfmigrate.measured', later::text, true);
END
$measure$
