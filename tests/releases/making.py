"""Make the small databases of this release: `python -m tests.releases.making`, with a PostgreSQL server installed.

For SQLite a compressed file, for PostgreSQL a compressed dump in SQL, and of each the outside copies of its
audit log's checkpoints.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from portal.settings import RELEASE
from tests import postgres
from tests.installation import ROOT
from tests.releases import FOLDER, SECRET_KEY, write_key


def environment(folder: Path, url: str) -> dict[str, str]:
    write_key(folder / "audit.pem")
    (folder / "outside").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "ENV_FILE": "none",
        "SECRET_KEY": SECRET_KEY,
        "GETSCREEN_API_KEY": "test-key-not-real",
        "DATABASE_URL": url,
        "AUDIT_KEY_FILE": str(folder / "audit.pem"),
        "AUDIT_CHECKPOINT_DIR": str(folder / "outside"),
        "PYTHONWARNINGS": "ignore",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }


def fill(known: dict[str, str]) -> None:
    for command in (
        ["manage.py", "migrate", "-v0"],
        ["-m", "tests.releases.filling"],
        ["manage.py", "audit_checkpoint"],
    ):
        subprocess.run([sys.executable, *command], cwd=ROOT, env=known, check=True)


def keep(content: bytes, file: Path) -> None:
    file.write_bytes(gzip.compress(content, mtime=0))
    print(f"{file}: {file.stat().st_size} bytes")  # noqa: T201


def make_sqlite(folder: Path, kept: Path) -> None:
    file = folder / "portal.sqlite3"
    fill(environment(folder, f"sqlite:///{file}"))
    with closing(sqlite3.connect(file)) as database:
        database.execute("VACUUM INTO ?", [str(folder / "small.sqlite3")])
    keep((folder / "small.sqlite3").read_bytes(), kept / "portal.sqlite3.gz")
    keep_outside(folder, kept / "sqlite.txt")


def make_postgresql(folder: Path, kept: Path) -> None:
    url, program = postgres.start(), shutil.which("pg_dump")
    try:
        fill(environment(folder, url))
        options = ["--no-owner", "--no-privileges", "--no-comments", url]
        dump = subprocess.run([str(program), *options], check=True, capture_output=True)
    finally:
        postgres.stop()
    lines = dump.stdout.splitlines(keepends=True)
    # Of its newest versions only, which older ones of psql do not understand.
    keep(b"".join(line for line in lines if b"restrict " not in line[:12]), kept / "portal.sql.gz")
    keep_outside(folder, kept / "postgresql.txt")


def keep_outside(folder: Path, file: Path) -> None:
    file.write_text("".join(each.read_text("utf-8") for each in sorted((folder / "outside").iterdir())), "utf-8")


def main() -> None:
    kept = FOLDER / RELEASE
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for make in (make_sqlite, make_postgresql):
        with tempfile.TemporaryDirectory() as name:
            make(Path(name), kept)


if __name__ == "__main__":
    main()
