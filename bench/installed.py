"""lfmigrate as a user has it: a wheel of this source, installed into an environment of its own.

An editable install starts more slowly: Python looks for each module in more places.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import BENCH_FOLDER, ROOT, say

ENVIRONMENT = BENCH_FOLDER / "lfmigrate"
PYTHON = ENVIRONMENT / "bin" / "python"
LFMIGRATE = ENVIRONMENT / "bin" / "lfmigrate"

# What the wheel is made of; `pyproject.toml` says so.
SOURCES = ("src", "sql", "pyproject.toml", "README.md", "LICENSE")


def install() -> None:
    """Build the wheel and install it with its dependencies, unless this source is installed.

    pip compiles the bytecode of what it installs, so no measured run has to.

    Raises:
        CalledProcessError: pip failed; it has printed why.
    """
    state, mark = _source_state(), ENVIRONMENT / "source-state"
    if mark.exists() and mark.read_text(encoding="utf-8") == state:
        return
    say("building lfmigrate and installing it")
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        build = (*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
        subprocess.run([sys.executable, *build], check=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        subprocess.run([PYTHON, *pip, "install", *Path(folder).glob("*.whl")], check=True)
    mark.write_text(state, encoding="utf-8")


def _source_state() -> str:
    """Return a digest of the source and of the Python that runs it."""
    digest = hashlib.sha256(sys.version.encode())
    for name in SOURCES:
        source = ROOT / name
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
