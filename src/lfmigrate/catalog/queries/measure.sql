-- What do these tables look like, and how many rows do they have, around a statement that may lose some?
--
-- The setting lfmigrate.measure is a jsonb object: `names` as a statement has them, to be measured in the mode `mode`, with the names
-- `columns` of those of which a digest is made; and `ids` (oids), to be measured in the mode `ids_mode`, with digests of all columns.
-- Partitions and child tables are included, and a table that is in both is measured by its name. The modes:
--   look    the file and the columns, without a lock
--   count   locks the table as the statement would, and counts its rows
--   digest  gives each column a digest of its values, too, in the order in which the rows are stored, which rewriting a table keeps
-- If `again` is true, the tables that were measured last are measured again, each in its mode, and the digests are those of the values
-- cast to the types that they had then, or, where there is no such cast, of their texts.
-- Tables that do not exist, or that the role may not lock, are left out: the statement will fail. Generated columns are left
-- out, because their values are made of others.
--
-- Raises one notice for each table, with SQLSTATE LF005, which no setting suppresses; the message is a jsonb object:
--   {id, schema, name, mode, named, file, root, created, generated, parts, updated, changed, rows, old, whole, columns: {number: [name, type, filled, old, digest]}}
-- `named`: whether it was measured by its name, or by that of its parent table. `created`: whether this transaction has created it.
-- `root`: the id and the name of the partitioned table that it belongs to, null if to none. `generated`: the numbers of its generated
-- columns. `parts`: the ids of its indexes, sequences and TOAST table. `updated`: how many rows the session has updated, and `changed`:
-- updated or deleted; null if the server keeps no statistics. `rows`: their number, and `old`: of those, the ones that other
-- transactions have written; null if they were not counted, or could not be read. `whole`: of a table that was measured by its id, a
-- digest of its rows in any order. `filled` and the `old` of a column: in how many of either it is not null.
-- What is changed for that, settings included, is undone before the notice. The setting lfmigrate.measured has all of them, by id.
DO $measure$
DECLARE
    asked CONSTANT jsonb := current_setting('lfmigrate.measure')::jsonb;
    again CONSTANT boolean := (asked ->> 'again')::boolean;
    earlier CONSTANT jsonb := CASE WHEN again THEN current_setting('lfmigrate.measured')::jsonb ELSE '{}' END;
    -- This transaction's id, with its epoch, and how many were given out since; see written.sql.
    base CONSTANT bigint := pg_current_xact_id()::text;
    span CONSTANT bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint - base;
    -- Whether the row with the xmin %s was written by another transaction. A subtransaction's id is higher than the transaction's.
    is_old CONSTANT text := replace(replace(
        'CASE WHEN age(%1$s) > 0 OR -age(%1$s) >= span + 1000000 THEN true WHEN -age(%1$s) >= span THEN false'
        ' ELSE pg_xact_status((base - age(%1$s))::text::xid8) IS DISTINCT FROM ''in progress'' END', 'base', base::text), 'span', span::text);
    later jsonb := '{}';
    found record;
    col record;
    measured jsonb;
    counted jsonb;
    names text;
    every text;
    whole text;
    created boolean;
BEGIN
    FOR found IN
        WITH RECURSIVE tree AS (
            SELECT to_regclass(n.name)::oid AS oid, asked ->> 'mode' AS mode, true AS named FROM jsonb_array_elements_text(asked -> 'names') AS n (name)
            UNION
            SELECT i.oid::oid, asked ->> 'ids_mode', false FROM jsonb_array_elements_text(asked -> 'ids') AS i (oid)
            UNION
            SELECT split_part(e.id, ':', 2)::oid, e.table ->> 'mode', (e.table ->> 'named')::boolean FROM jsonb_each(earlier) AS e (id, "table")
            UNION
            SELECT h.inhrelid, tree.mode, tree.named FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
        ),
        -- "digest", "count", "look": what shows more comes first.
        wanted AS (
            SELECT tree.oid, bool_or(tree.named) AS named,
                (array_agg(tree.mode ORDER BY strpos('digest count look', tree.mode)))[1] AS mode
            FROM tree GROUP BY tree.oid
        )
        SELECT c.oid, w.mode, w.named, c.reltoastrelid, n.nspname, c.relname, c.relkind, format('%I.%I', n.nspname, c.relname) AS label
        FROM wanted AS w
        JOIN pg_class AS c ON c.oid = w.oid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE NOT again OR earlier ? ('pg_class:' || c.oid)
        ORDER BY c.relkind <> 'p', c.oid
    LOOP
        IF found.mode <> 'look' THEN
            BEGIN
                EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', found.label);
            EXCEPTION WHEN insufficient_privilege OR undefined_table THEN
                CONTINUE;
            END;
        END IF;
        CONTINUE WHEN found.relkind = 'p';
        BEGIN
            PERFORM set_config(s.name, s.setting, true)
            FROM (VALUES ('row_security', 'off'), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'),
                ('extra_float_digits', '1'), ('lc_monetary', 'C'), ('search_path', ''),
                -- So that the rows come in the order in which they are stored.
                ('synchronize_seqscans', 'off'), ('max_parallel_workers_per_gather', '0')) AS s (name, setting);
            -- A system column is written when its table is created, and never again.
            EXECUTE format('SELECT NOT ' || is_old || ' FROM pg_attribute AS a WHERE a.attrelid = %s AND a.attnum = -1', 'a.xmin', found.oid) INTO created;
            SELECT jsonb_build_object('id', 'pg_class:' || found.oid, 'schema', found.nspname, 'name', found.relname, 'mode', found.mode, 'named', found.named,
                'file', pg_relation_filenode(found.oid)::text,
                'root', (SELECT jsonb_build_object('id', 'pg_class:' || r.oid, 'schema', n.nspname, 'name', r.relname)
                    FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace WHERE r.oid = pg_partition_root(found.oid)),
                'created', created,
                'parts', (SELECT coalesce(jsonb_agg('pg_class:' || p.oid), '[]') FROM (
                    SELECT found.reltoastrelid AS oid
                    UNION ALL
                    SELECT i.indexrelid FROM pg_index AS i WHERE i.indrelid IN (found.oid, found.reltoastrelid)
                    UNION ALL
                    SELECT d.objid FROM pg_depend AS d
                    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = found.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS p),
                'updated', CASE WHEN current_setting('track_counts')::boolean THEN pg_stat_get_xact_tuples_updated(found.oid) END,
                'changed', CASE WHEN current_setting('track_counts')::boolean
                    THEN pg_stat_get_xact_tuples_updated(found.oid) + pg_stat_get_xact_tuples_deleted(found.oid) END,
                'rows', NULL, 'old', NULL, 'whole', NULL,
                'generated', coalesce(jsonb_agg(a.attnum) FILTER (WHERE a.attgenerated <> ''), '[]'),
                'columns', coalesce(jsonb_object_agg(a.attnum, jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), NULL, NULL, NULL))
                    FILTER (WHERE a.attgenerated = ''), '{}'))
            INTO measured
            FROM pg_attribute AS a
            WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped;
            IF found.mode <> 'look' AND pg_relation_size(found.oid) = 0 THEN
                measured := measured || jsonb_build_object('rows', 0, 'old', 0, 'columns', (
                    SELECT coalesce(jsonb_object_agg(c.number, jsonb_build_array(c.facts -> 0, c.facts -> 1, 0, 0, '0')), '{}')
                    FROM jsonb_each(measured -> 'columns') AS c (number, facts)));
            ELSIF found.mode <> 'look' THEN
                BEGIN
                    IF row_security_active(found.oid) THEN
                        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', found.label);
                    END IF;
                    names := '';
                    every := '';
                    whole := '''''';
                    FOR col IN
                        SELECT c.number::int AS number, c.facts ->> 0 AS name, c.facts ->> 1 AS type,
                            earlier #>> ARRAY[measured ->> 'id', 'columns', c.number, '1'] AS was,
                            earlier #>> ARRAY[measured ->> 'id', 'columns', c.number, '4'] IS NOT NULL AS had, 'NULL'::text AS digest
                        FROM jsonb_each(measured -> 'columns') AS c (number, facts)
                    LOOP
                        IF found.mode = 'digest' AND (CASE WHEN again THEN col.had ELSE NOT found.named OR asked -> 'columns' ? col.name END) THEN
                            col.digest := format('s.c%s', col.number);
                            IF col.was <> col.type THEN
                                BEGIN
                                    EXECUTE format('SELECT CAST(NULL::%s AS %s)', col.type, col.was);
                                    col.digest := format('CAST(%s AS %s)', col.digest, col.was);
                                EXCEPTION WHEN cannot_coerce OR undefined_object THEN
                                    NULL;
                                END;
                            END IF;
                            IF coalesce(col.was, col.type) = 'json' THEN
                                col.digest := format('%s::jsonb', col.digest);
                            END IF;
                            whole := whole || format(' || '','' || coalesce(quote_literal(%s::text), ''N'')', col.digest);
                            -- Equal numbers may have different texts.
                            col.digest := format(CASE WHEN (
                                    SELECT t.typcategory = 'N' AND EXISTS (SELECT FROM pg_opclass AS o JOIN pg_am AS m ON m.oid = o.opcmethod AND m.amname = 'hash'
                                        WHERE o.opcdefault AND o.opcintype IN (t.oid, t.typbasetype))
                                    FROM pg_type AS t WHERE t.oid = to_regtype(coalesce(col.was, col.type)))
                                THEN '(count(%1$s) + coalesce(sum(hash_record_extended(ROW(%1$s), s.n)), 0))::text'
                                ELSE '(count(%1$s) + coalesce(sum(hashtextextended(%1$s::text COLLATE "C", s.n)), 0))::text' END, col.digest);
                        END IF;
                        names := names || format(', t.%I AS c%s', col.name, col.number);
                        every := every || format(' || jsonb_build_object(%L, jsonb_build_array(%L, %L, count(s.c%s), count(s.c%4$s) FILTER (WHERE s.is_old), %s))',
                            col.number, col.name, col.type, col.number, col.digest);
                    END LOOP;
                    EXECUTE format('SELECT jsonb_build_object(''rows'', count(*), ''old'', count(*) FILTER (WHERE s.is_old), ''whole'', %s, ''columns'', ''{}''::jsonb%s)'
                        ' FROM (SELECT %s AS n, %s AS is_old%s FROM ONLY %s AS t) AS s',
                        CASE WHEN found.mode = 'digest' AND NOT found.named THEN format('sum(hashtextextended(%s, 0))::text', whole) ELSE 'NULL' END,
                        every, CASE found.mode WHEN 'digest' THEN 'row_number() OVER ()' ELSE '0' END, format(is_old, 't.xmin'), names, found.label) INTO counted;
                    measured := measured || counted;
                EXCEPTION WHEN OTHERS THEN
                    -- The role may not read it, or a value has no such cast.
                    NULL;
                END;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'LF006';
        EXCEPTION WHEN SQLSTATE 'LF006' THEN
            NULL;
        END;
        later := later || jsonb_build_object(measured ->> 'id', measured);
        RAISE INFO USING ERRCODE = 'LF005', MESSAGE = measured::text;
    END LOOP;
    PERFORM set_config('lfmigrate.measured', later::text, true);
END
$measure$
