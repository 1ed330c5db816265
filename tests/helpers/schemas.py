"""Schemas drawn at random, with rows: every kind of table, column, key and rule, and odd names.

What is drawn is a list of statements, and the server decides which of them are possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Literal

from lfmigrate.syntax.names import quote_name

# In which file a statement is: that of the tables that stay, or that of what is rolled back.
# Or what writes rows; or what changes them after a backup.
Place = Literal["base", "next", "rows", "mess"]


@dataclass(frozen=True)
class Drawn:
    """A statement, where it runs, and what undoes it if it is in a file that is rolled back."""

    place: Place
    text: str
    undo: str = ""


# Types of columns, with values as literals of SQL.
SCALARS = {
    "smallint": ["-32768", "0"],
    "integer": ["-2147483648", "7"],
    "bigint": ["9223372036854775807", "-1"],
    "numeric": ["'NaN'", "'-Infinity'", "1e-20", "-0.00", "12345678901234567890.5"],
    "numeric(12, 4)": ["1.25", "-99999999.9999"],
    "real": ["'NaN'", "'-0'", "3.4e38", "1e-45"],
    "double precision": ["'Infinity'", "'NaN'", "'-0'", "0.1", "5e-324"],
    "text": [
        "''", r"'\'", r"'\.'", r"E'\\.\n\\.\n'", r"E'a\nb'", r"E'\r\n'", r"E'\t'", "'NULL'", "'\"'",
        "','", "' '", r"'\N'", "'\u00e9\u4e2d\U0001f418'", r"E'\x01'", "repeat('long ', 3000)",
    ],
    "varchar(20)": ["''", "'  x '", r"'\\'"],
    "char(5)": ["''", "'ab'", "'\u4e2d '"],
    "name": ["''", "'a b'"],
    '"char"': ["''", "'x'", r"'\'", "','", "'\"'"],
    "bytea": [r"'\x'", r"'\x000a0d5c22ff'"],
    "date": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'5874897-12-31'"],
    "timestamp": ["'infinity'", "'294276-12-31 23:59:59.999999'", "'4713-01-01 00:00 BC'"],
    "timestamptz(3)": ["'-infinity'", "'1883-11-18 12:03:58.123 America/New_York'"],
    "time": ["'24:00'", "'00:00:00.000001'"],
    "timetz": ["'23:59:59.999999+15:59'", "'00:00-15:59:59'"],
    "interval": ["'1 mon -1 day 00:00:00.000001'", "'-178000000 years'", "'infinity'", "'0'"],
    "boolean": ["true", "false"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'"],
    "json": ["""'{"a": 1,  "a": "\\u0000"}'""", "'null'", "'[1,\n 2]'"],
    "jsonb": ["'null'", """'{"\\\\": "\\"", "": [1e400]}'"""],
    "jsonpath": ["'$.a ? (@ > 1)'"],
    "xml": ["'<a>b</a>'", "'no element'", "''"],
    "inet": ["'::1/64'", "'10.0.0.1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit(3)": ["B'101'"],
    "bit varying": ["B''", "B'1'"],
    "money": ["'-92233720368547758.08'", "0"],
    "point": ["'(NaN,-0)'", "'(1e300,0.1)'"],
    "box": ["'(1,1),(0,-0)'"],
    "path": ["'[(0,0),(1,1)]'", "'((0,0),(1,Infinity))'"],
    "circle": ["'<(0,0),0>'"],
    "line": ["'{1,-1,0.5}'"],
    "tsvector": ["'a:1A ''b '''':2'", "''"],
    "tsquery": ["'a & !b'", "''"],
    "int4range": ["'empty'", "'(,)'", "'[1,2)'"],
    "tstzrange": ["'[-infinity,infinity]'", "'(,2026-01-01 00:00+05:45]'"],
    "int8multirange": ["'{}'", "'{[1,2),[5,)}'"],
    "oid": ["4294967295"],
    "regclass": ["'pg_class'", "0"],
    "regtype": ["'integer'", "'mood'"],
    "pg_lsn": ["'FFFFFFFF/0'"],
    "pg_snapshot": ["'1:5:2,3'"],
    "oidvector": ["'1 2'", "''"],
    "integer[]": ["'{}'", "'{NULL,1}'", "'[0:1]={1,2}'", "'{{1,2},{3,4}}'"],
    "text[]": [r"""'{"NULL",NULL,"",null,"a\\b","c,d","\""}'"""],
    "bytea[]": [r"""'{"\\x00",NULL}'"""],
    "date[]": ["'{infinity,-infinity}'"],
}  # fmt: skip

# Types of the schema's own.
TYPES = {
    "mood": r"CREATE TYPE mood AS ENUM ('', 'it''s', 'a\b', 'NULL', '(1,2)', 'é')",
    "dom": "CREATE DOMAIN dom AS text DEFAULT 'd' CHECK (VALUE <> 'never')",
    "pair": 'CREATE TYPE pair AS (x integer, "y z" text, m mood)',
    "deep": "CREATE TYPE deep AS (p pair, ps pair[], d dom)",
    "rng": "CREATE TYPE rng AS RANGE (subtype = text)",
    "dpair": "CREATE DOMAIN dpair AS pair CHECK ((VALUE).x > 0)",
    "moods": "CREATE DOMAIN moods AS mood[]",
}
OWN = {
    "mood": ["''", "'it''s'", r"'a\b'", "'NULL'", "'é'"],
    "dom": ["''", r"E'a\n'", r"'\.'"],
    "pair": [
        "'(,,)'",
        r"""'(1,"a\\b",NULL)'""",
        "ROW(1, E'\\n', '(1,2)')::pair",
        '\'(,"","")\'',
    ],
    "deep": ["ROW(ROW(1, '\"', ''), ARRAY[ROW(NULL, NULL, NULL), NULL]::pair[], 'x')::deep"],
    "rng": ["'empty'", "'[a,\"b,c\"]'", "'(,\"\"]'"],
    "dpair": ["ROW(1, ',', NULL)::pair", "NULL"],
    "moods": ["ARRAY['', 'NULL', NULL]::mood[]", "'{}'"],
    "mood[]": ["ARRAY['', 'NULL', NULL]::mood[]"],
    "pair[]": ["ARRAY[ROW(1, NULL, '')::pair, NULL]", "'{}'"],
    "dom[]": [r"ARRAY['', E'\n', NULL]::dom[]"],
    "rng[]": ["ARRAY['empty', '[a,b)']::rng[]"],
}

# Types of keys, with four values each.
KEYS = {
    "integer": ["1", "2", "3", "4"],
    "bigint": ["-1", "0", "1", "9223372036854775807"],
    "text": ["''", r"'\.'", r"E'a\nb'", "'é'"],
    "date": ["'infinity'", "'-infinity'", "'2026-01-01'", "'0044-03-15 BC'"],
    "numeric": ["'NaN'", "1.50", "-0.0", "'Infinity'"],
    "bytea": [r"'\x'", r"'\x00'", r"'\x5c'", r"'\xff'"],
    "mood": ["''", "'it''s'", r"'a\b'", "'NULL'"],
    "dom": ["''", r"'\\'", "'NULL'", "' '"],
}
# What has an order in which the values above are ascending, for partitions by range.
ASCENDING = {"integer", "bigint"}

NAMES = [
    "a", "B", "a b", 'q"t', "-x", ".d", "\u00e9" * 30, "\u4e2d" * 20, "y" * 61, "select", "%s",
    "$1", "{}", "a\nb", "C:\\x", "it's", " ", "con", "x.csv", "--", "/*", "\U0001f418", "..", "$$",
]  # fmt: skip


@dataclass
class Table:
    """A table that was drawn.

    Attributes:
        name: Its name, quoted.
        place: Which file creates it.
        key: Name and type of its key; no name if it has none.
        columns: The names of its other columns, with values.
        unique: Whether its key is one, and not only a column.
        partitions: The names of its partitions that have rows.
        referenced: Whether a foreign key was drawn that refers to it.
        has_late_child: Whether a later file creates a table that inherits from it, and whose copy
            of a constraint is then a valid one.
    """

    name: str
    place: Place
    key: tuple[str, str] | None = None
    columns: dict[str, list[str]] = field(default_factory=dict)
    unique: bool = False
    partitions: list[str] = field(default_factory=list)
    referenced: bool = False
    has_late_child: bool = False


class Sketch:
    """Draws a schema."""

    def __init__(self, random: Random) -> None:
        """Draw with a generator of random numbers."""
        self.random = random
        self.number = 0
        self.tables: list[Table] = []
        self.drawn: list[Drawn] = []

    def draw(self) -> list[Drawn]:
        """Return the statements of a schema."""
        for name, text in TYPES.items():
            # What the tables that stay may use.
            self.add("base" if name != "moods" else "next", text)
        self.add("base", "CREATE SEQUENCE alone START WITH 5 INCREMENT BY -2 MAXVALUE 9")
        for _ in range(self.random.randint(1, 2)):
            self.table("base")
        for _ in range(self.random.randint(1, 3)):
            self.table("next")
        for _ in range(self.random.randint(3, 9)):
            table = self.random.choice(self.tables)
            place = table.place
            # A file that is rolled back may change tables that stay, if they have a key.
            if table.unique and self.random.randrange(2):
                place = "next"
            kinds = self.DECORATIONS if place == table.place else self.UNDOABLE
            self.random.choice(kinds)(self, table, place)
        for _ in range(self.random.randint(6, 14)):
            self.rows(self.random.choice(self.tables))
        for _ in range(2):
            self.more_rows(self.random.choice(self.tables))
            self.mess(self.random.choice(self.tables))
        self.random_position()
        return self.drawn

    def add(self, place: Place, text: str, undo: str = "") -> None:
        """Add a statement."""
        self.drawn.append(Drawn(place, text, undo))

    def chance(self, percent: int) -> bool:
        """Return whether something happens."""
        return self.random.randrange(100) < percent

    def name(self) -> str:
        """Return a name that nothing has, quoted."""
        self.number += 1
        base = "n" if self.chance(40) else self.random.choice(NAMES)
        return quote_name(f"{base}{self.number}")

    def type(self, place: Place) -> tuple[str, list[str]]:
        """Return a type and some of its values."""
        pool = OWN if self.chance(40) else SCALARS
        name = self.random.choice([each for each in pool if each != "moods" or place == "next"])
        return name, pool[name]

    def table(self, place: Place) -> None:
        """Draw a table: one of seven kinds."""
        name = self.name()
        kind = self.random.choice(["plain"] * 6 + ["parts"] * 4 + ["child"] * 2 + ["typed", "none"])
        table = Table(name, place)
        if kind == "none":
            self.add(place, f"CREATE TABLE {name} ()")
        elif kind == "typed":
            self.add(place, f"CREATE TABLE {name} OF pair (x PRIMARY KEY)")
            table.key, table.unique = ("x", "integer"), True
            table.columns['"y z"'] = OWN["dom"]
        elif kind == "child" and self.tables:
            parent = self.random.choice(self.tables)
            own = self.name()
            parent.has_late_child |= parent.place != place
            self.add(place, f"CREATE TABLE {name} ({own} integer) INHERITS ({parent.name})")
            table.key, table.columns = parent.key, {**parent.columns, own: ["1", "2"]}
        else:
            self._with_key(table, "parts" if kind == "parts" else "plain")
        self.tables.append(table)

    def _with_key(self, table: Table, kind: str) -> None:
        key, key_type = self.name(), self.random.choice(list(KEYS))
        table.key = (key, key_type)
        definition = key_type
        if key_type in {"integer", "bigint"} and kind == "plain":
            definition += self.random.choice(
                [
                    "",
                    " GENERATED ALWAYS AS IDENTITY",
                    " GENERATED BY DEFAULT AS IDENTITY (START WITH -5 INCREMENT BY -3)",
                    " DEFAULT nextval('alone')",
                ]
            )
        columns = [f"{key} {definition}"]
        for _ in range(self.random.randint(0, 2)):
            column = self.name()
            type_, table.columns[column] = self.type(table.place)
            columns.append(f"{column} {type_}")
        if self.chance(70):
            columns.append(f"PRIMARY KEY ({key})")
            table.unique = True
        ways = ["LIST"]
        if key_type != "mood":
            # The hash of an enum's value is that of its oid, and another after the next CREATE.
            ways.append("HASH")
        if key_type in ASCENDING:
            ways.append("RANGE")
        by = self.random.choice(ways)
        tail = f" PARTITION BY {by} ({key})" if kind == "parts" else ""
        before = "UNLOGGED " if self.chance(8) and not tail else ""
        self.add(table.place, f"CREATE {before}TABLE {table.name} ({', '.join(columns)}){tail}")
        if tail:
            self._partitions(table, by, KEYS[key_type])

    def _partitions(self, table: Table, by: str, values: list[str]) -> None:
        bounds = {
            "LIST": [f"FOR VALUES IN ({values[0]}, {values[1]})", "DEFAULT"],
            "RANGE": [
                f"FOR VALUES FROM (MINVALUE) TO ({values[1]})",
                f"FOR VALUES FROM ({values[1]}) TO ({values[3]})",
                "DEFAULT",
            ],
            "HASH": [f"FOR VALUES WITH (MODULUS 2, REMAINDER {n})" for n in range(2)],
        }[by]
        assert table.key is not None
        for bound in bounds:
            part = self.name()
            way = self.random.randrange(4)
            if way == 0:
                junk = self.name()
                self.add(
                    table.place,
                    f"CREATE TABLE {part} ({junk} text, LIKE {table.name});"
                    f" ALTER TABLE {part} DROP COLUMN {junk};"
                    f" ALTER TABLE {table.name} ATTACH PARTITION {part} {bound}",
                )
            elif way == 1:
                below = self.name()
                self.add(
                    table.place,
                    f"CREATE TABLE {part} PARTITION OF {table.name} {bound}"
                    f" PARTITION BY HASH ({table.key[0]});"
                    f" CREATE TABLE {below} PARTITION OF {part}"
                    " FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
                )
                part = below
            else:
                self.add(table.place, f"CREATE TABLE {part} PARTITION OF {table.name} {bound}")
            table.partitions.append(part)

    def column(self, table: Table, place: Place) -> None:
        """Add a column, with a default or without."""
        name = self.name()
        type_, values = self.type(place)
        default = f" DEFAULT {self.random.choice(values)}" if self.chance(30) else ""
        table.columns[name] = values
        self.add(
            place,
            f"ALTER TABLE {table.name} ADD COLUMN {name} {type_}{default}",
            f"ALTER TABLE IF EXISTS {table.name} DROP COLUMN IF EXISTS {name}",
        )

    def generated(self, table: Table, place: Place) -> None:
        """Add a column that the server computes."""
        if table.key is None:
            return
        name = self.name()
        kind = "STORED" if self.chance(70) else "VIRTUAL"
        value = f"({table.key[0]} IS NULL)"
        self.add(
            place,
            f"ALTER TABLE {table.name} ADD COLUMN {name} boolean"
            f" GENERATED ALWAYS AS {value} {kind}",
            f"ALTER TABLE IF EXISTS {table.name} DROP COLUMN IF EXISTS {name}",
        )

    def serial(self, table: Table, place: Place) -> None:
        """Add a column with a sequence."""
        name = self.name()
        type_ = self.random.choice(
            ["serial", "bigserial", "smallint GENERATED ALWAYS AS IDENTITY (MAXVALUE 99 CYCLE)"]
        )
        self.add(
            place,
            f"ALTER TABLE {table.name} ADD COLUMN {name} {type_}",
            f"ALTER TABLE IF EXISTS {table.name} DROP COLUMN IF EXISTS {name}",
        )

    def foreign_key(self, table: Table, place: Place) -> None:
        """Add a column that refers to a table, maybe to this one."""
        others = [each for each in self.tables if each.unique]
        if place == "base":
            others = [each for each in others if each.place == "base"]
        if not others:
            return
        other = self.random.choice(others)
        assert other.key is not None
        other.referenced = True
        name, constraint = self.name(), self.name()
        table.columns[name] = KEYS[other.key[1]]
        action = self.random.choice(["", " ON DELETE CASCADE", " ON UPDATE CASCADE"])
        action += self.random.choice(["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"])
        owner = self.random.choice([table.name, *table.partitions[:1]])
        key = f"ADD CONSTRAINT {constraint} FOREIGN KEY ({name}) REFERENCES {other.name}{action}"
        self.add(
            place,
            f"ALTER TABLE {table.name} ADD COLUMN {name} {other.key[1]}; ALTER TABLE {owner} {key}",
            f"ALTER TABLE IF EXISTS {table.name} DROP COLUMN IF EXISTS {name}",
        )
        if self.chance(25):
            self._not_valid(owner, place, constraint, f"{key} NOT VALID", table)

    def check(self, table: Table, place: Place) -> None:
        """Add a check constraint, maybe one that rows do not satisfy."""
        if not table.columns:
            return
        name = self.name()
        owner = self.random.choice([table.name, *table.partitions[:1]])
        condition = f"{self.random.choice(list(table.columns))} IS NOT NULL"
        add = f"ADD CONSTRAINT {name} CHECK ({condition})"
        if self.chance(15):
            add += " NO INHERIT"
        self._not_valid(owner, place, name, f"{add} NOT VALID", table)

    def _not_valid(self, owner: str, place: Place, name: str, add: str, table: Table) -> None:
        drop = f"ALTER TABLE IF EXISTS {owner} DROP CONSTRAINT IF EXISTS {name}"
        if place == "next" and table.place == "base":
            self.add(place, f"{drop}; ALTER TABLE {owner} {add}", drop)
        else:
            self.add(place, f"{drop}; ALTER TABLE {owner} {add}")
        if table.has_late_child and place == "base":
            return
        row = self._insert(table, nulls=60)
        # It fails where the file could not add the constraint.
        drop = f"ALTER TABLE {owner} DROP CONSTRAINT {name}"
        self.add("rows", f"{drop}; {row}; {row}; ALTER TABLE {owner} {add}")

    def trigger(self, table: Table, place: Place) -> None:
        """Add a trigger that changes rows, suppresses them or writes to another table."""
        name, function, log = self.name(), self.name(), self.name()
        what = self.random.choice(["change", "suppress", "log", "log"])
        owner = self.random.choice([table.name, *table.partitions[:1]])
        body = "RETURN NULL;"
        if what == "change" and table.columns:
            body = f"NEW.{self.random.choice(list(table.columns))} := NULL; RETURN NEW;"
        logs = ""
        if what == "log":
            logs = f"CREATE TABLE {log} (id serial PRIMARY KEY, t text);"
            body = f"INSERT INTO {log} (t) VALUES (TG_OP); RETURN NULL;"
            self.tables.append(Table(log, place, columns={"t": SCALARS["text"]}))
        when = "AFTER" if what == "log" else "BEFORE"
        events = "INSERT OR UPDATE"
        level = "ROW"
        if what == "log" and self.chance(50):
            level, events = "STATEMENT", self.random.choice(["INSERT", "TRUNCATE", "UPDATE"])
        state = self.random.choice(["", "", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
        body = f"BEGIN {body} END"
        quoted = body.replace("'", "''")
        self.add(
            place,
            f"{logs} CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS '{quoted}';"
            f" CREATE TRIGGER {name} {when} {events} ON {owner} FOR EACH {level}"
            f" EXECUTE FUNCTION {function}();"
            + (f" ALTER TABLE {owner} {state} TRIGGER {name};" if state else ""),
            f"DROP TRIGGER IF EXISTS {name} ON {owner}",
        )

    def rule(self, table: Table, place: Place) -> None:
        """Add a rule that swallows rows."""
        name = self.name()
        condition = f" WHERE NEW.{table.key[0]} IS NULL" if table.key else ""
        self.add(
            place,
            f"CREATE RULE {name} AS ON INSERT TO {table.name}{condition} DO INSTEAD NOTHING",
            f"DROP RULE IF EXISTS {name} ON {table.name}",
        )

    def policy(self, table: Table, place: Place) -> None:
        """Hide rows, maybe from the owner, too."""
        name = self.name()
        owner = self.random.choice([table.name, *table.partitions[:1]])
        value = self.random.choice(["false", f"{table.key[0]} IS NULL" if table.key else "true"])
        force = f" ALTER TABLE {owner} FORCE ROW LEVEL SECURITY;" if self.chance(70) else ""
        self.add(
            place,
            f"CREATE POLICY {name} ON {owner} USING ({value});"
            f" ALTER TABLE {owner} ENABLE ROW LEVEL SECURITY;{force}",
            f"DROP POLICY IF EXISTS {name} ON {owner};"
            f" ALTER TABLE IF EXISTS {owner} DISABLE ROW LEVEL SECURITY,"
            " NO FORCE ROW LEVEL SECURITY",
        )

    def unique(self, table: Table, place: Place) -> None:
        """Add a unique constraint or an index."""
        if table.key is None:
            return
        name, key = self.name(), table.key[0]
        text = self.random.choice(
            [
                f"ALTER TABLE {table.name} ADD CONSTRAINT {name} UNIQUE ({key}) DEFERRABLE",
                f"CREATE UNIQUE INDEX {name} ON {table.name} ({key}) NULLS NOT DISTINCT",
                f"CREATE INDEX {name} ON {table.name} (({key} IS NULL))",
                f"ALTER TABLE {table.name} ADD CONSTRAINT {name} EXCLUDE ({key} WITH =)",
            ]
        )
        self.add(
            place,
            text,
            f"ALTER TABLE IF EXISTS {table.name} DROP CONSTRAINT IF EXISTS {name}"
            if "ADD CONSTRAINT" in text
            else f"DROP INDEX IF EXISTS {name}",
        )

    def not_null(self, table: Table, place: Place) -> None:
        """Demand a value; of 18, maybe without a look at the rows."""
        if not table.columns:
            return
        column = self.random.choice(list(table.columns))
        name = self.name()
        alter = f"ALTER TABLE IF EXISTS {table.name}"
        if self.chance(50):
            add = f"ADD CONSTRAINT {name} NOT NULL {column} NOT VALID"
            self._not_valid(table.name, place, name, add, table)
        else:
            self.add(
                place,
                f"{alter} ALTER {column} SET NOT NULL",
                f"{alter} ALTER {column} DROP NOT NULL",
            )

    def sequence(self, table: Table, place: Place) -> None:
        """Add a sequence that a column owns, or nothing."""
        name = self.name()
        owned = f" OWNED BY {table.name}.{table.key[0]}" if table.key and self.chance(50) else ""
        self.add(place, f"CREATE SEQUENCE {name}{owned}", f"DROP SEQUENCE IF EXISTS {name}")
        position = self.random.randint(1, 99)
        called = self.random.choice(["true", "false"])
        quoted = name.replace("'", "''")
        self.add("rows", f"SELECT setval('{quoted}', {position}, {called})")

    def _insert(self, table: Table, *, nulls: int = 25) -> str:
        columns, values = [], []
        if table.key is not None and self.chance(90):
            columns.append(table.key[0])
            values.append(self.random.choice(KEYS[table.key[1]]))
        for name, pool in table.columns.items():
            if self.chance(85):
                columns.append(name)
                values.append("NULL" if self.chance(nulls) else self.random.choice(pool))
        if not columns:
            return f"INSERT INTO {table.name} DEFAULT VALUES"
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"
            f" VALUES ({', '.join(values)})"
        )

    def rows(self, table: Table) -> None:
        """Insert a row."""
        self.add("rows", self._insert(table))

    def more_rows(self, table: Table) -> None:
        """Change what is there."""
        if not table.columns:
            return
        column = self.random.choice(list(table.columns))
        value = self.random.choice(table.columns[column])
        self.add("rows", f"UPDATE {table.name} SET {column} = {value}")

    def mess(self, table: Table) -> None:
        """Change and remove rows after a backup."""
        text = self.random.choice([f"DELETE FROM {table.name}", f"TRUNCATE {table.name} CASCADE"])
        self.add("mess", text)
        self.add("mess", self._insert(table))

    def random_position(self) -> None:
        """Move the sequence that no column owns."""
        self.add("rows", "SELECT nextval('alone')")

    DECORATIONS: ClassVar[list[Callable[[Sketch, Table, Place], None]]] = [
        column, column, generated, serial, foreign_key, foreign_key, check, trigger, trigger, rule,
        policy, unique, not_null, sequence,
    ]  # fmt: skip
    # What a file that is rolled back may add to a table that stays.
    UNDOABLE: ClassVar[list[Callable[[Sketch, Table, Place], None]]] = [
        column, column, column, generated, serial, foreign_key, trigger, policy, check, unique,
    ]  # fmt: skip


def statements(drawn: Sequence[Drawn], place: Place) -> Iterator[str]:
    """Return the statements of one place."""
    return (each.text for each in drawn if each.place == place)
