"""A CSV file is taken apart as COPY takes it apart, and its places are those that people see."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfmigrate.errors import CsvFileError
from lfmigrate.rows import rejected
from lfmigrate.source import csvfile

CELLS = st.text(st.sampled_from('ab,"\n\rü \\.'), max_size=6)
# At least two columns: a record of one empty field is an empty line.
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6)


@given(
    table=TABLES, end=st.sampled_from(["\n", "\r\n"]), mark=st.sampled_from([b"", b"\xef\xbb\xbf"])
)
def test_records_and_fields_are_those_of_a_csv_reader(
    table: list[list[str]], end: str, mark: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What Python's csv module has written is found again: every record, field and byte."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    content = mark + text.getvalue().encode()
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(content)

    found = list(csvfile.records(path))

    assert [len(record.fields) for record in found] == [len(row) for row in table]
    assert b"".join(record.content for record in found) == content[len(mark) :]
    assert all(record.closed for record in found)
    for record, row in zip(found, table, strict=True):
        assert content[record.start : record.end] == record.content
        assert next(csv.reader(io.StringIO(record.text, newline=""))) == row
        assert content[: record.start].count(b"\n") + 1 == record.line
        assert content[: record.end].count(b"\n") + 1 == record.next_line
        assert list(csvfile.records(path, record)) == found[found.index(record) + 1 :]


@pytest.mark.parametrize(
    ("row", "place", "expected"),
    [
        ("a,b,c", 2, (1, 3)),
        ('"a,b",c', 6, (1, 7)),
        ('"a\nb",c', 6, (2, 4)),
        ('"a\r\nbü",c', 8, (2, 5)),
    ],
)
def test_a_place_is_a_line_and_a_column_in_characters(
    row: str, place: int, expected: tuple[int, int]
) -> None:
    """As an editor shows it."""
    record = csvfile.Record("x.csv", row.encode(), 0, 1)

    assert record.locate(place)[:2] == expected


def test_a_long_line_is_shown_around_the_place() -> None:
    """An excerpt fits a terminal."""
    record = csvfile.Record("x.csv", ("x" * 500 + "," + "y" * 500).encode(), 0, 1)

    _, _, shown = record.locate(501)

    assert shown.startswith("1 | ...xxx")
    assert shown.endswith("yyy...")
    assert len(shown) < 120


def blocks_of(path: Path) -> list[bytes]:
    """Return what is sent of a whole file."""
    file = csvfile.open_csv(path)
    return list(csvfile.blocks(file, file.header))


def test_the_end_mark_is_found_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    r"""A line ``\.`` is refused wherever a block ends; within quotes or beside text it is text."""
    monkeypatch.setattr(csvfile, "_BLOCK_BYTES", 3)
    path = tmp_path / "x.csv"
    for padding in range(6):
        path.write_bytes(b"a\n" + b"x" * padding + b"\n\\.\nb\n")
        with pytest.raises(CsvFileError) as caught:
            blocks_of(path)
        assert (caught.value.line, caught.value.column) == (3, 1)
    path.write_bytes(b'a\n"\n\\.\n"\nx\\.\n')
    assert b"".join(blocks_of(path)) == path.read_bytes()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A folder with the name of a file."""
    (tmp_path / "x.csv").mkdir()

    with pytest.raises(CsvFileError, match="not a regular file"):
        csvfile.open_csv(tmp_path / "x.csv")


def test_an_unclosed_quote_makes_one_record_of_the_rest(tmp_path: Path) -> None:
    """It begins where the quote's own record does, and is not closed."""
    path = tmp_path / "x.csv"
    path.write_bytes(b'a\n"' + b"x,y,z\n" * 200)

    records = list(csvfile.records(path))

    assert [(r.line, r.next_line, r.closed) for r in records] == [(1, 2, True), (2, 202, False)]


def test_a_file_is_searched_for_the_end_mark_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines in quotes that look like it cost no more in every block than in one."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"a\n" + b'"\n\\.\n"\n' * 1000)
    file = csvfile.open_csv(path)
    records, searches = csvfile.records, []

    def counted(path: Path, after: csvfile.Record | None = None) -> Iterator[csvfile.Record]:
        searches.append(after)
        return records(path, after)

    monkeypatch.setattr(csvfile, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(csvfile, "records", counted)

    assert b"".join(csvfile.blocks(file, file.header)) == path.read_bytes()
    assert len(searches) == 1


@pytest.mark.parametrize(
    ("words", "column"),
    [
        (', column price: "12 name: 3"', "price"),
        (', column full name: "x price: 3"', "full name"),
        (", Spalte name: »price: 3«", "name"),
        (", colonne name : « x price: 3 »", "name"),
        ("行,列 name: null input price: 1", "name"),
        (", column price: null input", "price"),
        (', column column: "name: 1"', "column"),
        (': "a, price: 3"', None),
        (" : « a, price: 3 »", None),
        ("", None),
    ],
)
def test_the_column_is_the_first_that_the_server_names(words: str, column: str | None) -> None:
    """What follows is a value or the whole line, which may read like another column."""
    found = rejected.column_in(words, ["name", "full name", "price", "column"])

    assert found == column
