"""In GitHub Actions: annotations at the lines of files, and a summary of the job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from lfmigrate.output.markdown import escaped
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute

# What is printed for a CI is decided on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str]], Path]

NOWHERE = "postgresql://me:s3cret@127.0.0.1:1/nowhere"
FILES = {
    "001_notes.up.sql": "CREATE TABLE notes (id integer, body text);",
    "001_notes.down.sql": "DROP TABLE notes;",
}


@pytest.fixture
def actions(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a job whose workspace is this test's folder."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


def annotated(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("::")]


def test_a_failed_statement_is_shown_at_its_line(
    cli: Cli, database: str, folder: Write, actions: dict[str, str]
) -> None:
    """With the path from the root of the workspace."""
    path = folder({"001_x.up.sql": "SELECT 1;\nSELECT 2,\n  1/0;"})

    done = cli("up", "--sql-dir", path, "--database-url", database, env=actions)

    (line,) = annotated(done.stderr)
    assert done.returncode == 4
    assert line.startswith(
        f"::error file={path.name}/001_x.up.sql,line=2,col=1,title=lfmigrate up::division by zero"
    )
    assert "%0ANothing was changed." in line


def test_each_problem_of_a_folder_is_shown_at_its_line(
    cli: Cli, folder: Write, actions: dict[str, str]
) -> None:
    """Before anything is sent."""
    path = folder({"001_x.up.sql": "SELECT 'a", "002_y.up.sql": "\nBEGIN;\nSELECT 1;"})

    done = cli("up", "--sql-dir", path, "--database-url", NOWHERE, env=actions)

    assert done.returncode == 2
    assert [line.partition("title=")[0] for line in annotated(done.stderr)] == [
        f"::error file={path.name}/001_x.up.sql,line=1,col=8,",
        f"::error file={path.name}/002_y.up.sql,line=2,col=1,",
    ]


def test_drift_is_shown_at_the_file_that_created_the_object(
    cli: Cli, database: str, folder: Write, actions: dict[str, str]
) -> None:
    """And an edit at the edited file."""
    path = folder({**FILES, "002_more.up.sql": "CREATE TABLE more (id integer);"})
    up(database, path)
    execute(database, "ALTER TABLE notes DROP COLUMN body")
    (path / "002_more.up.sql").write_text("CREATE TABLE more (id bigint);")

    done = cli("verify", "-q", "--sql-dir", path, "--database-url", database, env=actions)

    drift, edit = annotated(done.stderr)
    assert done.returncode == 3
    assert drift.startswith(
        f"::error file={path.name}/001_notes.up.sql,line=1,title=lfmigrate verify::drifted table"
    )
    assert "column body" in drift
    assert edit.startswith(f"::error file={path.name}/002_more.up.sql,line=1,")


def test_a_file_outside_the_workspace_is_not_pointed_at(
    cli: Cli, folder: Write, actions: dict[str, str], tmp_path: Path
) -> None:
    """GitHub could not show it; the message is there."""
    path = folder({"001_x.up.sql": "SELECT 'a"})
    elsewhere = {**actions, "GITHUB_WORKSPACE": str(tmp_path / "cwd")}

    done = cli("up", "--sql-dir", path, "--database-url", NOWHERE, env=elsewhere)

    (line,) = annotated(done.stderr)
    assert line.startswith("::error title=lfmigrate up::this string is never closed")


def test_a_row_of_a_seed_is_shown_at_its_line(
    cli: Cli, applied: str, actions: dict[str, str], tmp_path: Path
) -> None:
    """In the folder of the CSV files."""
    shipped = Path(__file__).parents[2] / "sql" / "seed"
    seeds = tmp_path / "our data"
    shutil.copytree(shipped, seeds)
    (seeds / "performance_periods.csv").write_text("")

    done = cli("seed", "--from", seeds, "--database-url", applied, env=actions)

    line, *_ = annotated(done.stderr)
    assert line.startswith("::error file=our data/performance_periods.csv,line=1,")


def test_a_wrong_call_is_annotated_without_the_password(
    cli: Cli, actions: dict[str, str], folder: Write
) -> None:
    """No file is concerned."""
    wrong = cli("stauts", env=actions)
    down = cli(
        "status", "--wait", "0", "--sql-dir", folder(FILES), "--database-url", NOWHERE, env=actions
    )

    assert annotated(wrong.stderr)[0].startswith('::error title=lfmigrate::no such command "')
    assert annotated(down.stderr)[0].startswith("::error title=lfmigrate status::connection to")
    assert "s3cret" not in down.stderr + Path(actions["GITHUB_STEP_SUMMARY"]).read_text()


def test_each_command_appends_to_the_summary_of_the_job(
    cli: Cli, database: str, folder: Write, actions: dict[str, str]
) -> None:
    """The tables of the reports, even with -q and with --json."""
    words = ("--sql-dir", folder(FILES), "--database-url", database)

    first = cli("up", "-q", *words, env=actions)
    second = cli("verify", "--json", *words, env=actions)

    text = Path(actions["GITHUB_STEP_SUMMARY"]).read_text()
    assert (first.stdout, first.stderr) == ("", "")
    assert json.loads(second.stdout)["ok"]
    assert second.stderr == ""
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## lfmigrate up succeeded",
        "## lfmigrate verify succeeded",
    ]
    assert "\n| table | notes | created | 2 | 0 | 0 |\n" in text
    assert "\n| table | notes | ok | 2 | 0 | 0 |\n" in text


def test_elsewhere_there_is_a_summary_where_it_is_asked_for(
    cli: Cli, database: str, folder: Write, tmp_path: Path
) -> None:
    """And no annotation."""
    path, words = folder(FILES), ("--database-url", database, "--summary", tmp_path / "s.md")

    cli("up", "--sql-dir", path, *words)
    (path / "001_notes.up.sql").write_text("CREATE TABLE notes (id integer, `x` text);")
    done = cli("verify", "--sql-dir", path, *words)

    text = (tmp_path / "s.md").read_text()
    assert done.returncode == 3
    assert annotated(done.stderr) == []
    assert "## lfmigrate up succeeded" in text
    assert "## lfmigrate verify failed (exit code 3)" in text
    assert "```diff\n" in text
    assert "1 migration was edited after it was applied" in text


def test_a_summary_that_cannot_be_written_changes_no_exit_code(
    cli: Cli, database: str, folder: Write, tmp_path: Path
) -> None:
    """The command has done its work, and says what is missing."""
    words = ("up", "--sql-dir", folder(FILES), "--database-url", database, "--summary", tmp_path)

    done = cli(*words, "-q")
    document = cli(*words, "--json")

    assert done.returncode == 0
    assert done.stderr.startswith("warning: the summary could not be written to ")
    assert document.returncode == 0
    assert "the summary could not be written to" in json.loads(document.stdout)["notes"][-1]
    assert document.stderr == ""


def test_a_preview_is_no_part_of_the_summary(
    cli: Cli, database: str, folder: Write, tmp_path: Path
) -> None:
    """What was not confirmed has not been done."""
    words = ("--sql-dir", folder(FILES), "--database-url", database)
    cli("up", *words)

    done = cli("rollback", *words, "--summary", tmp_path / "s.md")

    text = (tmp_path / "s.md").read_text()
    assert done.returncode == 5
    assert "would be" not in text
    assert "not confirmed" in text


def test_what_fails_in_a_check_is_shown_at_its_line(
    cli: Cli, server_url: str, folder: Write, actions: dict[str, str]
) -> None:
    """Its command fails without a file; the proof that is broken knows one."""
    path = folder({"001_x.up.sql": "SELECT 1;\nSELECT 1/0;", "001_x.down.sql": "SELECT 1;"})

    done = cli("check", "--sql-dir", path, "--database-url", server_url, env=actions)

    (line,) = annotated(done.stderr)
    assert done.returncode == 3
    assert line.startswith(
        f"::error file={path.name}/001_x.up.sql,line=2,col=1,title=lfmigrate check::division"
    )


def test_a_summary_names_the_database_and_the_folder(
    cli: Cli, database: str, folder: Write, actions: dict[str, str]
) -> None:
    """As the first line of a report does, so that two steps of a job can be distinguished."""
    path = folder(FILES)

    cli("up", "--sql-dir", path, "--database-url", database, env=actions)

    text = Path(actions["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
    name = str(conninfo_to_dict(database)["dbname"])
    assert f"**lfmigrate up**: database {escaped(name)}, schema public" in text
    assert escaped(f"lfmigrate files in {path}") in text


def test_a_message_of_the_server_is_no_command(
    cli: Cli, database: str, folder: Write, actions: dict[str, str]
) -> None:
    """Nor is a name in a report; elsewhere both are printed as they are."""
    text = "DO $$BEGIN RAISE E'boom\\n::error::a\\n  ::stop-commands::b\\n##[error]c'; END$$"
    failing = folder({"001_x.up.sql": text})
    named = folder({"001_x.up.sql": 'CREATE TABLE "::error::d" (n int); DROP TABLE "::error::d"'})

    plain = cli("up", "--sql-dir", failing, "--database-url", database)
    failed = cli("up", "--sql-dir", failing, "--database-url", database, env=actions)
    traced = cli("up", "-v", "--sql-dir", named, "--database-url", database, env=actions)

    lines = [line.strip() for line in (failed.stderr + traced.stdout + traced.stderr).splitlines()]
    commands = [line for line in lines if line.startswith(("::", "##["))]
    assert [line.split("::")[1].split()[0] for line in commands] == ["error"]
    assert {r"\::error::a", r"\::stop-commands::b", r"\##[error]c"} <= set(lines)
    assert "::error::a" in [line.strip() for line in plain.stderr.splitlines()]
