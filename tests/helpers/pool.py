"""The statements from which the folders of the property test are drawn.

They cover the kinds of objects that README names, and every ALTER of each. ``~`` stands for the
schema of a folder, and begins the names of what has no schema; `EXTENSION` for an extension that no
other folder of a batch has.
"""

from __future__ import annotations

# A folder's schemas; a rename and a move go from one to another.
SCHEMAS = ("~", "~_new", "~_other", "~_more")

# For one folder each; those that hold only what no file of the pool names.
EXTENSION = "some_extension"
EXTENSIONS = ("unaccent", "lo", "tcn", "moddatetime", "autoinc", "refint")

# What every folder begins with.
COMMON = """
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN share AS numeric CONSTRAINT share_check CHECK (VALUE >= 0);
CREATE SEQUENCE nums;
CREATE FUNCTION f(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n + 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE t (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    a integer NOT NULL DEFAULT 1,
    b text,
    m mood DEFAULT 'low',
    s share,
    n integer DEFAULT nextval('nums'),
    q pair,
    CONSTRAINT t_a_check CHECK (a > 0)
);
CREATE TABLE u (
    id serial PRIMARY KEY,
    t_id bigint CONSTRAINT u_fk REFERENCES t (id),
    c text CONSTRAINT u_c UNIQUE
);
CREATE VIEW v AS SELECT t.id, t.a, t.m, u.c FROM t LEFT JOIN u ON u.t_id = t.id;
"""

# A folder has one of these, too: relations and their parts, or what else there is.
RELATIONS = """
CREATE TABLE p (k integer NOT NULL, v text, CONSTRAINT p_v CHECK (v <> '')) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (k integer NOT NULL, v text, CONSTRAINT p_v CHECK (v <> ''));
CREATE TABLE parent (x integer);
CREATE TABLE child (z text) INHERITS (parent);
CREATE VIEW vv AS SELECT id, c FROM v;
CREATE MATERIALIZED VIEW mv AS SELECT a, f(a) AS fa FROM t;
CREATE INDEX t_b ON t (b) WHERE b <> '';
CREATE INDEX t_f ON t (f(a));
CREATE INDEX p_k ON p (k);
CREATE INDEX mv_a ON mv (a);
CREATE STATISTICS st ON a, b FROM t;
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION touch();
CREATE POLICY pol ON t USING (a > 0 AND EXISTS (SELECT FROM u WHERE u.t_id = t.id));
CREATE RULE ru AS ON INSERT TO u WHERE NEW.c = '' DO INSTEAD NOTHING;
"""
OTHERS = """
CREATE TYPE span AS RANGE (SUBTYPE = integer);
CREATE FUNCTION same(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION number(pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer);
CREATE PROCEDURE work(n integer) LANGUAGE plpgsql AS 'BEGIN END';
CREATE CAST (pair AS integer) WITH FUNCTION number(pair);
CREATE OPERATOR @=@ (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);
CREATE OPERATOR FAMILY fam USING gist;
CREATE OPERATOR CLASS cls FOR TYPE pair USING gist FAMILY fam AS STORAGE point;
CREATE COLLATION coll (locale = 'C');
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple);
CREATE PUBLICATION ~_pub FOR TABLE t;
CREATE EVENT TRIGGER ~_et ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION et();
CREATE FOREIGN DATA WRAPPER ~_fdw;
CREATE SERVER ~_srv VERSION '1' FOREIGN DATA WRAPPER ~_fdw OPTIONS (host 'a');
CREATE USER MAPPING FOR PUBLIC SERVER ~_srv OPTIONS (user 'u', password 'x');
CREATE FOREIGN TABLE ft (x integer NOT NULL, y text) SERVER ~_srv OPTIONS (table_name 'a');
ALTER DEFAULT PRIVILEGES IN SCHEMA ~ GRANT SELECT ON SEQUENCES TO PUBLIC;
CREATE INDEX t_b ON t (b) WHERE b <> '';
"""
BASES = (RELATIONS, OTHERS)

# The names that the statements use; a rename goes from one to the other, and maybe back.
NAMES = {
    "t": ("t", "t_new"),
    "u": ("u", "u_new"),
    "a": ("a", "a_new"),
    "b": ("b", "b_new"),
    "c": ("c", "c_new"),
    "v": ("v", "v_new"),
    "vv": ("vv", "vv_new"),
    "mv": ("mv", "mv_new"),
    "p": ("p", "p_new"),
    "p1": ("p1", "p1_new"),
    "parent": ("parent", "parent_new"),
    "child": ("child", "child_new"),
    "f": ("f", "f_new"),
    "touch": ("touch", "touch_new"),
    "mood": ("mood", "mood_new"),
    "pair": ("pair", "pair_new"),
    "share": ("share", "share_new"),
    "nums": ("nums", "nums_new"),
    "t_b": ("t_b", "t_b_new"),
    "u_c": ("u_c", "u_c_new"),
    "t_a_check": ("t_a_check", "t_a_check_new"),
    "u_fk": ("u_fk", "u_fk_new"),
    "st": ("st", "st_new"),
    "tr": ("tr", "tr_new"),
    "pol": ("pol", "pol_new"),
    "ru": ("ru", "ru_new"),
    "p2": ("p2", "p2_new"),
    "ft": ("ft", "ft_new"),
    "span": ("span", "span_new"),
    "total": ("total", "total_new"),
    "work": ("work", "work_new"),
    "fam": ("fam", "fam_new"),
    "cls": ("cls", "cls_new"),
    "coll": ("coll", "coll_new"),
    "dict": ("dict", "dict_new"),
    "conf": ("conf", "conf_new"),
    "pub": ("~_pub", "~_pub_new"),
    "et": ("~_et", "~_et_new"),
    "fdw": ("~_fdw", "~_fdw_new"),
    "srv": ("~_srv", "~_srv_new"),
    "home": ("~", "~_new"),
    "other": ("~_other", "~_more"),
    "x": ("x", "x_new"),
    "y": ("y", "y_new"),
    "xx": ("x", "xx"),
    "mva": ("mv_a", "mv_a_new"),
    "pkey": ("t_pkey", "t_key"),
    "useq": ("u_id_seq", "u_numbers"),
}

# What a rename of each looks like, given its two names.
RENAMES = {
    "t": "ALTER TABLE {0} RENAME TO {1}",
    "u": "ALTER TABLE {0} RENAME TO {1}",
    "p": "ALTER TABLE {0} RENAME TO {1}",
    "p1": "ALTER TABLE {0} RENAME TO {1}",
    "parent": "ALTER TABLE {0} RENAME TO {1}",
    "child": "ALTER TABLE {0} RENAME TO {1}",
    "v": "ALTER VIEW {0} RENAME TO {1}",
    "vv": "ALTER VIEW {0} RENAME TO {1}",
    "mv": "ALTER MATERIALIZED VIEW {0} RENAME TO {1}",
    "a": "ALTER TABLE {t} RENAME COLUMN {0} TO {1}",
    "b": "ALTER TABLE {t} RENAME COLUMN {0} TO {1}",
    "c": "ALTER TABLE {u} RENAME COLUMN {0} TO {1}",
    "f": "ALTER FUNCTION {0}(integer) RENAME TO {1}",
    "touch": "ALTER FUNCTION {0}() RENAME TO {1}",
    "mood": "ALTER TYPE {0} RENAME TO {1}",
    "pair": "ALTER TYPE {0} RENAME TO {1}",
    "share": "ALTER DOMAIN {0} RENAME TO {1}",
    "nums": "ALTER SEQUENCE {0} RENAME TO {1}",
    "t_b": "ALTER INDEX {0} RENAME TO {1}",
    "u_c": "ALTER TABLE {u} RENAME CONSTRAINT {0} TO {1}",
    "t_a_check": "ALTER TABLE {t} RENAME CONSTRAINT {0} TO {1}",
    "u_fk": "ALTER TABLE {u} RENAME CONSTRAINT {0} TO {1}",
    "st": "ALTER STATISTICS {0} RENAME TO {1}",
    "tr": "ALTER TRIGGER {0} ON {t} RENAME TO {1}",
    "pol": "ALTER POLICY {0} ON {t} RENAME TO {1}",
    "ru": "ALTER RULE {0} ON {u} RENAME TO {1}",
    "p2": "ALTER TABLE {0} RENAME TO {1}",
    "ft": "ALTER FOREIGN TABLE {0} RENAME TO {1}",
    "span": "ALTER TYPE {0} RENAME TO {1}",
    "total": "ALTER AGGREGATE {0}(integer) RENAME TO {1}",
    "work": "ALTER PROCEDURE {0}(integer) RENAME TO {1}",
    "fam": "ALTER OPERATOR FAMILY {0} USING gist RENAME TO {1}",
    "cls": "ALTER OPERATOR CLASS {0} USING gist RENAME TO {1}",
    "coll": "ALTER COLLATION {0} RENAME TO {1}",
    "dict": "ALTER TEXT SEARCH DICTIONARY {0} RENAME TO {1}",
    "conf": "ALTER TEXT SEARCH CONFIGURATION {0} RENAME TO {1}",
    "pub": "ALTER PUBLICATION {0} RENAME TO {1}",
    "et": "ALTER EVENT TRIGGER {0} RENAME TO {1}",
    "fdw": "ALTER FOREIGN DATA WRAPPER {0} RENAME TO {1}",
    "srv": "ALTER SERVER {0} RENAME TO {1}",
    "home": "ALTER SCHEMA {0} RENAME TO {1}",
    "other": "ALTER SCHEMA {0} RENAME TO {1}",
    "x": "ALTER TABLE {parent} RENAME COLUMN {0} TO {1}",
    "y": "ALTER FOREIGN TABLE {ft} RENAME COLUMN {0} TO {1}",
    "xx": "ALTER TYPE {pair} RENAME ATTRIBUTE {0} TO {1}",
    "mva": "ALTER INDEX {0} RENAME TO {1}",
    "pkey": "ALTER TABLE {t} RENAME CONSTRAINT {0} TO {1}",
    "useq": "ALTER SEQUENCE {0} RENAME TO {1}",
}

# What can be moved to another schema and be given to another role; {...} is one of its names.
MOVED = """
TABLE {t}
TABLE {u}
TABLE {p}
TABLE {p1}
TABLE {parent}
TABLE {child}
FOREIGN TABLE {ft}
VIEW {v}
VIEW {vv}
MATERIALIZED VIEW {mv}
SEQUENCE {nums}
FUNCTION {f}(integer)
FUNCTION {touch}()
FUNCTION number({pair})
AGGREGATE {total}(integer)
PROCEDURE {work}(integer)
TYPE {mood}
TYPE {pair}
TYPE {span}
DOMAIN {share}
STATISTICS {st}
OPERATOR @=@ ({pair}, {pair})
OPERATOR FAMILY {fam} USING gist
OPERATOR CLASS {cls} USING gist
COLLATION {coll}
TEXT SEARCH DICTIONARY {dict}
TEXT SEARCH CONFIGURATION {conf}
""".strip().splitlines()

# What has an owner, but no schema.
OWNED = """
SCHEMA {home}
SCHEMA {other}
PUBLICATION {pub}
SERVER {srv}
""".strip().splitlines()

# Everything else; {name} is one of the two names above.
STATEMENTS = """
ALTER TABLE {t} ADD COLUMN d integer DEFAULT 7
ALTER TABLE {t} ADD COLUMN e text GENERATED ALWAYS AS (upper({b})) STORED
ALTER TABLE {t} DROP COLUMN d
ALTER TABLE {t} DROP COLUMN n
ALTER TABLE {t} ALTER COLUMN {b} TYPE varchar(40)
ALTER TABLE {t} ALTER COLUMN d TYPE bigint
ALTER TABLE {t} ALTER COLUMN {b} SET STORAGE EXTERNAL
ALTER TABLE {t} ALTER COLUMN id SET GENERATED BY DEFAULT
ALTER TABLE {t} ALTER COLUMN id DROP IDENTITY
ALTER TABLE {t} ADD CONSTRAINT t_extra CHECK ({a} < 100)
ALTER TABLE {t} ADD CONSTRAINT t_late CHECK ({a} < 100) NOT VALID
ALTER TABLE {t} VALIDATE CONSTRAINT t_late
ALTER TABLE {t} DROP CONSTRAINT t_extra
ALTER TABLE {t} ADD CONSTRAINT t_b_key UNIQUE ({b}) WITH (fillfactor = 80)
ALTER TABLE {u} ADD CONSTRAINT u_c_excl EXCLUDE ({c} WITH =)
ALTER TABLE {u} DROP CONSTRAINT {u_c}
ALTER TABLE {u} ALTER CONSTRAINT {u_fk} DEFERRABLE INITIALLY DEFERRED
ALTER TABLE {t} DISABLE TRIGGER {tr}
ALTER TABLE {t} DISABLE TRIGGER ALL
ALTER TABLE {t} ENABLE TRIGGER ALL
ALTER TABLE {t} ENABLE ALWAYS TRIGGER {tr}
ALTER TABLE {u} DISABLE RULE {ru}
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY
ALTER TABLE {t} FORCE ROW LEVEL SECURITY
ALTER TABLE {t} DISABLE ROW LEVEL SECURITY
ALTER TABLE {t} SET (fillfactor = 70)
ALTER TABLE {t} RESET (fillfactor)
ALTER TABLE {parent} SET UNLOGGED
ALTER TABLE {child} SET UNLOGGED
ALTER TABLE {t} REPLICA IDENTITY FULL
ALTER TABLE {u} REPLICA IDENTITY NOTHING
ALTER TABLE {t} CLUSTER ON {pkey}
ALTER INDEX {t_b} SET (fillfactor = 60)
ALTER INDEX t_f ALTER COLUMN 1 SET STATISTICS 100
DROP INDEX {t_b}
DROP INDEX IF EXISTS t_f
CREATE INDEX t_again ON {t} ({a}, {b})
CREATE UNIQUE INDEX t_unique ON {t} (id, {b})
ALTER TABLE {child} NO INHERIT {parent}
ALTER TABLE {child} INHERIT {parent}
ALTER TABLE {parent} ADD COLUMN y integer
ALTER TABLE {parent} ADD CONSTRAINT parent_x CHECK ({x} > 0)
ALTER TABLE {p} ADD COLUMN w text DEFAULT ''
ALTER TABLE {p} DETACH PARTITION {p1}
ALTER TABLE {p} ATTACH PARTITION {p1} FOR VALUES FROM (20) TO (30)
ALTER TABLE {p} ATTACH PARTITION {p2} FOR VALUES FROM (50) TO (60)
CREATE TABLE p3 PARTITION OF {p} DEFAULT
CREATE INDEX p_v_idx ON {p} (v)
ALTER VIEW {v} RENAME COLUMN a TO first
ALTER VIEW {v} ALTER COLUMN c SET DEFAULT 'x'
ALTER VIEW {v} SET (security_barrier = true)
CREATE OR REPLACE VIEW {vv} AS SELECT id, c FROM {v} WHERE id > 0
CREATE VIEW late AS SELECT {a} FROM {t}
DROP VIEW {vv}
DROP VIEW IF EXISTS {vv}
ALTER MATERIALIZED VIEW {mv} SET (fillfactor = 50)
ALTER MATERIALIZED VIEW {mv} CLUSTER ON {mva}
CREATE OR REPLACE FUNCTION {f}(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n + 2'
ALTER FUNCTION {f}(integer) COST 7
ALTER FUNCTION {f}(integer) STRICT
ALTER FUNCTION {touch}() SECURITY DEFINER
ALTER FUNCTION {touch}() SET search_path = pg_catalog
CREATE FUNCTION g(m {mood}) RETURNS text LANGUAGE sql STABLE AS 'SELECT m::text'
DROP FUNCTION g
ALTER TYPE {mood} RENAME VALUE 'low' TO 'lowest'
ALTER TYPE {mood} ADD VALUE 'highest'
ALTER TYPE {mood} ADD VALUE IF NOT EXISTS 'high'
ALTER TYPE {pair} ADD ATTRIBUTE z date
ALTER DOMAIN {share} SET DEFAULT 1
ALTER DOMAIN {share} ADD CONSTRAINT share_more CHECK (VALUE < 100)
ALTER DOMAIN {share} DROP CONSTRAINT share_check
ALTER DOMAIN {share} RENAME CONSTRAINT share_check TO share_check_new
ALTER DOMAIN {share} SET NOT NULL
ALTER SEQUENCE {nums} INCREMENT BY 5
ALTER SEQUENCE {nums} OWNED BY {t}.n
ALTER SEQUENCE {useq} INCREMENT BY 2
DROP STATISTICS {st}
CREATE STATISTICS more ON {a}, id FROM {t}
ALTER POLICY {pol} ON {t} USING ({a} > 1)
DROP POLICY {pol} ON {t}
CREATE POLICY another ON {u} FOR SELECT USING (true)
DROP TRIGGER {tr} ON {t}
CREATE TRIGGER more BEFORE INSERT ON {u} FOR EACH ROW EXECUTE FUNCTION {touch}()
CREATE OR REPLACE TRIGGER {tr} BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION {touch}()
DROP RULE {ru} ON {u}
DROP TABLE {child}
DROP TABLE {u} CASCADE
DROP TABLE {parent} CASCADE
CREATE TABLE u (other integer)
CREATE TABLE w (id integer PRIMARY KEY REFERENCES {u}, m {mood}, s {share}, q {pair})
ALTER TABLE w ADD CHECK (m = 'high'), ADD UNIQUE (s)
COMMENT ON TABLE {t} IS 'a comment'
INSERT INTO {u} (t_id) VALUES (NULL)
ALTER TABLE {t} ALTER COLUMN {a} SET STATISTICS 50
ALTER TABLE {t} ALTER COLUMN {a} SET (n_distinct = 5)
ALTER TABLE {t} ALTER COLUMN {b} SET COMPRESSION pglz
ALTER TABLE {t} ALTER COLUMN {b} TYPE text COLLATE {coll}
ALTER TABLE {t} ALTER COLUMN e DROP EXPRESSION
ALTER TABLE {t} ALTER COLUMN e SET EXPRESSION AS (lower({b}))
ALTER TABLE {t} ALTER COLUMN id SET INCREMENT BY 4
ALTER TABLE {t} ALTER COLUMN id RESTART WITH 100
ALTER TABLE {t} ALTER COLUMN d SET NOT NULL, ALTER COLUMN d DROP DEFAULT
ALTER TABLE {t} SET WITHOUT CLUSTER
ALTER TABLE {t} SET TABLESPACE pg_default
ALTER TABLE {t} SET ACCESS METHOD heap
ALTER TABLE {t} SET (toast.autovacuum_enabled = false)
ALTER TABLE {t} ENABLE REPLICA TRIGGER {tr}
ALTER TABLE {u} ENABLE ALWAYS RULE {ru}
ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY
ALTER TABLE {t} REPLICA IDENTITY USING INDEX {pkey}
ALTER TABLE {t} ADD CONSTRAINT t_of UNIQUE USING INDEX t_unique
ALTER TABLE {t} ADD CONSTRAINT t_not_null NOT NULL {b}
ALTER TABLE {t} ADD CONSTRAINT t_off CHECK ({a} < 50) NOT ENFORCED
ALTER TABLE {u} ALTER CONSTRAINT {u_fk} NOT ENFORCED
ALTER TABLE {u} ADD COLUMN r {pair}, ADD COLUMN g {span}
ALTER TABLE {parent} OF {pair}
ALTER TABLE {parent} NOT OF
ALTER TABLE {parent} ADD COLUMN ts tsvector GENERATED ALWAYS AS (to_tsvector('{conf}', '')) STORED
CREATE TABLE typed OF {pair}
ALTER TABLE typed NOT OF
CREATE TABLE like_t (LIKE {t} INCLUDING ALL)
CREATE TABLE calls (n integer DEFAULT {f}(1), CHECK ({f}(n) > 0))
ALTER INDEX {t_b} RESET (fillfactor)
ALTER INDEX {t_b} SET TABLESPACE pg_default
ALTER INDEX {t_b} DEPENDS ON EXTENSION some_extension
ALTER INDEX p_v_idx ATTACH PARTITION p1_v_idx
CREATE INDEX p1_v_idx ON {p1} (v)
CREATE INDEX t_coll ON {t} ({b} COLLATE {coll})
CREATE INDEX t_q ON {u} USING gist (r {cls})
ALTER VIEW {v} ALTER COLUMN c DROP DEFAULT
ALTER VIEW {v} RESET (security_barrier)
ALTER MATERIALIZED VIEW {mv} RENAME COLUMN fa TO fb
ALTER MATERIALIZED VIEW {mv} ALTER COLUMN {a} SET STATISTICS 30
ALTER MATERIALIZED VIEW {mv} SET WITHOUT CLUSTER
ALTER MATERIALIZED VIEW {mv} DEPENDS ON EXTENSION some_extension
REFRESH MATERIALIZED VIEW {mv}
REFRESH MATERIALIZED VIEW {mv} WITH NO DATA
ALTER FUNCTION {f}(integer) RESET ALL
ALTER FUNCTION {f}(integer) STABLE LEAKPROOF PARALLEL SAFE
ALTER FUNCTION {touch}() RESET search_path
ALTER FUNCTION {touch}() DEPENDS ON EXTENSION some_extension
ALTER ROUTINE {f}(integer) CALLED ON NULL INPUT
CREATE OR REPLACE AGGREGATE {total}(integer) (SFUNC = int4mul, STYPE = integer, INITCOND = '1')
CREATE AGGREGATE {total}(bigint) (SFUNC = int8pl, STYPE = bigint)
DROP AGGREGATE {total}(integer)
CREATE OR REPLACE PROCEDURE {work}(n integer) LANGUAGE plpgsql AS 'BEGIN NULL; END'
ALTER PROCEDURE {work}(integer) SECURITY DEFINER SET work_mem = '1MB'
ALTER PROCEDURE {work}(integer) RESET work_mem
DROP PROCEDURE {work}(integer)
DROP ROUTINE IF EXISTS {work}(integer)
ALTER TYPE {mood} ADD VALUE 'lower' BEFORE 'high'
ALTER TYPE {pair} ALTER ATTRIBUTE y TYPE varchar(9)
ALTER TYPE {pair} DROP ATTRIBUTE z
ALTER DOMAIN {share} DROP DEFAULT
ALTER DOMAIN {share} DROP NOT NULL
ALTER DOMAIN {share} ADD CONSTRAINT share_late CHECK (VALUE < 900) NOT VALID
ALTER DOMAIN {share} VALIDATE CONSTRAINT share_late
ALTER SEQUENCE {nums} AS smallint MINVALUE -5 MAXVALUE 500 START 3 CACHE 2 CYCLE
ALTER SEQUENCE {nums} RESTART
ALTER SEQUENCE {nums} NO CYCLE
ALTER SEQUENCE {nums} OWNED BY NONE
ALTER SEQUENCE {nums} SET UNLOGGED
ALTER STATISTICS {st} SET STATISTICS 90
ALTER POLICY {pol} ON {t} TO pg_monitor WITH CHECK ({a} > 2)
ALTER TRIGGER {tr} ON {t} DEPENDS ON EXTENSION some_extension
CREATE OR REPLACE RULE {ru} AS ON INSERT TO {u} WHERE NEW.{c} = 'x' DO INSTEAD NOTHING
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON {u} FOR EACH ROW EXECUTE FUNCTION {touch}()
DROP CAST ({pair} AS integer)
CREATE CAST ({pair} AS integer) WITH FUNCTION number({pair}) AS ASSIGNMENT
CREATE CAST ({mood} AS integer) WITH INOUT AS ASSIGNMENT
CREATE CAST ({mood} AS {pair}) WITH INOUT
ALTER OPERATOR @=@ ({pair}, {pair}) SET (RESTRICT = eqsel, JOIN = eqjoinsel)
ALTER OPERATOR @=@ ({pair}, {pair}) SET (RESTRICT = NONE)
ALTER OPERATOR @=@ ({pair}, {pair}) SET (HASHES, COMMUTATOR = @=@)
CREATE OPERATOR @<>@ (LEFTARG = {pair}, RIGHTARG = {pair}, FUNCTION = same, NEGATOR = @=@)
CREATE OPERATOR @# (RIGHTARG = {pair}, FUNCTION = number)
DROP OPERATOR @# (NONE, {pair})
DROP OPERATOR @=@ ({pair}, {pair})
CREATE VIEW uses AS SELECT q @=@ q AS o, q::integer AS n, {total}({a}) OVER () AS s FROM {t}
ALTER OPERATOR FAMILY {fam} USING gist ADD OPERATOR 3 @=@ ({pair}, {pair})
ALTER OPERATOR FAMILY {fam} USING gist DROP OPERATOR 3 ({pair}, {pair})
CREATE OPERATOR CLASS more FOR TYPE {mood} USING gist AS STORAGE box
DROP OPERATOR CLASS {cls} USING gist
DROP OPERATOR FAMILY {fam} USING gist CASCADE
ALTER COLLATION {coll} REFRESH VERSION
DROP COLLATION {coll}
CREATE COLLATION more FROM {coll}
ALTER TEXT SEARCH DICTIONARY {dict} (accept = false)
ALTER TEXT SEARCH DICTIONARY {dict} (accept)
ALTER TEXT SEARCH CONFIGURATION {conf} ALTER MAPPING FOR word WITH {dict}
ALTER TEXT SEARCH CONFIGURATION {conf} ALTER MAPPING FOR word, url WITH {dict}, simple
ALTER TEXT SEARCH CONFIGURATION {conf} ALTER MAPPING REPLACE simple WITH {dict}
ALTER TEXT SEARCH CONFIGURATION {conf} DROP MAPPING IF EXISTS FOR url
ALTER TEXT SEARCH CONFIGURATION {conf} ADD MAPPING FOR url WITH {dict}
DROP TEXT SEARCH DICTIONARY {dict}
DROP TEXT SEARCH CONFIGURATION {conf}
ALTER PUBLICATION {pub} ADD TABLE {u}
ALTER PUBLICATION {pub} DROP TABLE {t}
ALTER PUBLICATION {pub} SET TABLE {t}, {u}
ALTER PUBLICATION {pub} SET TABLE {t} ({a}, id) WHERE ({a} > 3)
ALTER PUBLICATION {pub} SET (publish = 'insert', publish_via_partition_root = true)
ALTER PUBLICATION {pub} ADD TABLES IN SCHEMA {other}
ALTER PUBLICATION {pub} SET TABLES IN SCHEMA {home}
DROP PUBLICATION {pub}
CREATE PUBLICATION ~_more FOR TABLE {u}
ALTER EVENT TRIGGER {et} DISABLE
ALTER EVENT TRIGGER {et} ENABLE ALWAYS
ALTER EVENT TRIGGER {et} OWNER TO CURRENT_USER
DROP EVENT TRIGGER {et}
CREATE EVENT TRIGGER ~_more ON sql_drop WHEN TAG IN ('DROP CAST') EXECUTE FUNCTION et()
ALTER FOREIGN DATA WRAPPER {fdw} OPTIONS (ADD host 'b')
ALTER FOREIGN DATA WRAPPER {fdw} OPTIONS (DROP host)
ALTER FOREIGN DATA WRAPPER {fdw} NO HANDLER VALIDATOR postgresql_fdw_validator
ALTER FOREIGN DATA WRAPPER {fdw} OWNER TO CURRENT_USER
ALTER SERVER {srv} VERSION '2' OPTIONS (SET host 'b')
ALTER SERVER {srv} OPTIONS (DROP host)
ALTER USER MAPPING FOR PUBLIC SERVER {srv} OPTIONS (SET password 'y')
DROP USER MAPPING FOR PUBLIC SERVER {srv}
CREATE USER MAPPING FOR CURRENT_USER SERVER {srv}
CREATE FOREIGN DATA WRAPPER ~_more
CREATE SERVER ~_more FOREIGN DATA WRAPPER {fdw}
DROP SERVER {srv} CASCADE
ALTER FOREIGN TABLE {ft} OPTIONS (SET table_name 'b')
ALTER FOREIGN TABLE {ft} ALTER COLUMN {y} OPTIONS (column_name 'z')
ALTER FOREIGN TABLE {ft} ADD COLUMN z integer DEFAULT 1
ALTER FOREIGN TABLE {ft} ALTER COLUMN {y} TYPE varchar(9)
ALTER FOREIGN TABLE {ft} ADD CONSTRAINT ft_check CHECK ({y} <> '')
ALTER FOREIGN TABLE {ft} INHERIT {parent}
CREATE FOREIGN TABLE p4 PARTITION OF {p} FOR VALUES FROM (90) TO (99) SERVER {srv}
DROP FOREIGN TABLE {ft}
ALTER DEFAULT PRIVILEGES IN SCHEMA {home} GRANT INSERT ON TABLES TO PUBLIC
ALTER DEFAULT PRIVILEGES IN SCHEMA {home} REVOKE SELECT ON SEQUENCES FROM PUBLIC
ALTER DEFAULT PRIVILEGES IN SCHEMA {other} GRANT EXECUTE ON FUNCTIONS TO pg_monitor
GRANT SELECT ({a}), UPDATE ON {t} TO pg_monitor WITH GRANT OPTION
GRANT SELECT ON ALL TABLES IN SCHEMA {home} TO pg_monitor
REVOKE EXECUTE ON FUNCTION {f}(integer) FROM PUBLIC
REVOKE ALL ON TYPE {mood} FROM PUBLIC
GRANT USAGE ON FOREIGN SERVER {srv} TO pg_monitor
GRANT CREATE ON SCHEMA {home} TO pg_monitor
CREATE EXTENSION some_extension
CREATE EXTENSION some_extension SCHEMA {other}
ALTER EXTENSION some_extension SET SCHEMA {other}
ALTER EXTENSION some_extension UPDATE
ALTER EXTENSION some_extension ADD FUNCTION {touch}()
ALTER EXTENSION some_extension DROP FUNCTION {touch}()
DROP EXTENSION some_extension
COMMENT ON COLUMN {t}.{a} IS 'a comment'
COMMENT ON FUNCTION {f}(integer) IS 'a comment'
COMMENT ON TYPE {mood} IS 'a comment'
COMMENT ON TRIGGER {tr} ON {t} IS 'a comment'
COMMENT ON CAST ({pair} AS integer) IS 'a comment'
COMMENT ON OPERATOR @=@ ({pair}, {pair}) IS 'a comment'
COMMENT ON PUBLICATION {pub} IS 'a comment'
COMMENT ON SERVER {srv} IS 'a comment'
COMMENT ON SCHEMA {home} IS 'a comment'
COMMENT ON EVENT TRIGGER {et} IS 'a comment'
CREATE SCHEMA ~_late
DROP SCHEMA {other}
DROP SCHEMA {other} CASCADE
CREATE TEMPORARY TABLE {t} (z integer); ALTER TABLE {t} ADD COLUMN y text; DROP TABLE {t}
CREATE TEMPORARY TABLE {v} (z integer); CREATE INDEX ON {v} (z); DROP TABLE pg_temp.{v}
CREATE TEMPORARY SEQUENCE {nums}; ALTER SEQUENCE {nums} INCREMENT BY 3; DROP SEQUENCE {nums}
""".strip().splitlines()

# Statements that a hot fix by hand may have done before: run twice, they change nothing more.
IDEMPOTENT = """
ALTER TABLE {t} ADD COLUMN IF NOT EXISTS hot integer DEFAULT 3
ALTER TABLE {t} ALTER COLUMN {a} SET DEFAULT 5
ALTER TABLE {t} ALTER COLUMN {a} DROP DEFAULT
ALTER TABLE {t} ALTER COLUMN {b} SET NOT NULL
ALTER TABLE {t} ALTER COLUMN {a} DROP NOT NULL
ALTER TABLE {t} DROP COLUMN IF EXISTS s CASCADE
ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {t_a_check}
ALTER TABLE {t} SET (autovacuum_enabled = false)
CREATE INDEX IF NOT EXISTS t_hot ON {t} (id, {a})
CREATE TABLE IF NOT EXISTS hot (id integer PRIMARY KEY)
CREATE SEQUENCE IF NOT EXISTS hot_seq
CREATE OR REPLACE VIEW {vv} AS SELECT id, c FROM {v} WHERE c IS NOT NULL
CREATE OR REPLACE FUNCTION {touch}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$
DROP INDEX IF EXISTS {t_b}
DROP VIEW IF EXISTS {vv}
DROP MATERIALIZED VIEW IF EXISTS {mv}
DROP POLICY IF EXISTS {pol} ON {t}
DROP TRIGGER IF EXISTS {tr} ON {t}
ALTER TABLE {u} ALTER COLUMN {c} SET DEFAULT 'none'
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY
CREATE EXTENSION IF NOT EXISTS some_extension
DROP EXTENSION IF EXISTS some_extension
CREATE SCHEMA IF NOT EXISTS ~_late
CREATE STATISTICS IF NOT EXISTS {st} ON {a}, {b} FROM {t}
CREATE COLLATION IF NOT EXISTS hot_coll (locale = 'POSIX')
CREATE SERVER IF NOT EXISTS ~_hot FOREIGN DATA WRAPPER {fdw}
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER {srv} OPTIONS (user 'v')
CREATE FOREIGN TABLE IF NOT EXISTS hot_ft (x integer) SERVER {srv}
CREATE MATERIALIZED VIEW IF NOT EXISTS hot_mv AS SELECT 1 AS one
ALTER TYPE {mood} ADD VALUE IF NOT EXISTS 'hottest'
ALTER TYPE {pair} DROP ATTRIBUTE IF EXISTS z
ALTER DOMAIN {share} DROP CONSTRAINT IF EXISTS share_check
ALTER DOMAIN {share} SET DEFAULT 2
ALTER SEQUENCE {nums} INCREMENT BY 7
ALTER OPERATOR @=@ ({pair}, {pair}) SET (RESTRICT = eqsel)
ALTER TEXT SEARCH DICTIONARY {dict} (accept = false)
ALTER TEXT SEARCH CONFIGURATION {conf} ALTER MAPPING FOR word WITH {dict}
ALTER PUBLICATION {pub} SET (publish = 'insert, update')
ALTER EVENT TRIGGER {et} DISABLE
ALTER SERVER {srv} VERSION '3'
ALTER USER MAPPING FOR PUBLIC SERVER {srv} OPTIONS (SET password 'z')
ALTER FOREIGN TABLE {ft} OPTIONS (SET table_name 'c')
ALTER DEFAULT PRIVILEGES IN SCHEMA {home} GRANT SELECT ON TABLES TO PUBLIC
CREATE OR REPLACE AGGREGATE {total}(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '5')
CREATE OR REPLACE PROCEDURE {work}(n integer) LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END'
ALTER PROCEDURE {work}(integer) SECURITY DEFINER
ALTER STATISTICS {st} SET STATISTICS 70
DROP CAST IF EXISTS ({pair} AS integer)
DROP OPERATOR IF EXISTS @=@ ({pair}, {pair})
DROP COLLATION IF EXISTS {coll}
DROP PUBLICATION IF EXISTS {pub}
DROP EVENT TRIGGER IF EXISTS {et}
""".strip().splitlines()

# Everything that folders make, schemas included.
DROP_ALL = """
DO $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('DROP EVENT TRIGGER %I', evtname) FROM pg_event_trigger
        UNION ALL SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication
        UNION ALL SELECT format('DROP FOREIGN DATA WRAPPER %I CASCADE', fdwname)
            FROM pg_foreign_data_wrapper
        UNION ALL SELECT format('DROP EXTENSION IF EXISTS %I CASCADE', extname)
            FROM pg_extension WHERE extname <> 'plpgsql'
        UNION ALL SELECT format('DROP SCHEMA %I CASCADE', nspname)
            FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'
        UNION ALL SELECT 'DROP TABLE IF EXISTS public.last'
    LOOP
        EXECUTE command;
    END LOOP;
END $$
"""


def path(schema: str) -> str:
    """Return the schemas of a folder, as they are searched."""
    return ", ".join(each.replace("~", schema) for each in SCHEMAS)


def base(schema: str, more: str) -> str:
    """Return what a folder begins with.

    Args:
        schema: That of the folder.
        more: One of `BASES`.
    """
    made = "CREATE SCHEMA ~; CREATE SCHEMA ~_other;"
    text = f"{made} SET search_path = {path(schema)};{COMMON}{more}"
    return text.replace("~", schema)


def concrete(text: str, schema: str, number: int) -> str:
    """Return a statement of the pool as a folder has it.

    Args:
        text: Of the pool.
        schema: That of the folder.
        number: The folder's place in its batch; not all have an extension.
    """
    extension = EXTENSIONS[number] if number < len(EXTENSIONS) else "none_is_left"
    return text.replace(EXTENSION, extension).replace("~", schema)
