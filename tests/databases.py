"""Fresh databases of the kind that the run is on, for what a test's own transaction cannot try."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]


def server() -> str:
    """Return the address of the run's PostgreSQL, or nothing if it is on SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith("postgres") else ""


class Database:
    """One of them, seen from outside."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.name = urlsplit(url).path.lstrip("/")

    def as_role(self, name: str, password: str = "") -> str:
        """Return the address for another role of PostgreSQL."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own; `%s` stands for a parameter."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection, connection:
                return connection.execute(statement.replace("%s", "?"), parameters).fetchall()
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement, parameters or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def manage(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py on it, configured as an installation is."""
        known = {
            "PATH": os.environ["PATH"],
            "PYTHONWARNINGS": "ignore",
            "ENV_FILE": "none",
            "SECRET_KEY": "a-key-for-tests-only-and-nothing-else-0123456789-0123456789",
            "GETSCREEN_API_KEY": "test-key-not-real",
            "DATABASE_URL": self.url,
            "AUDIT_KEY_FILE": str(self.folder / "audit.pem"),
            "AUDIT_CHECKPOINT_DIR": str(self.folder),
        }
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=known | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@contextmanager
def fresh(folder: Path) -> Iterator[Database]:
    """An empty database, gone afterwards."""
    if not server():
        yield Database(f"sqlite:///{folder / 'fresh.sqlite3'}", folder)
        return
    name = f"portal_fresh_{secrets.token_hex(4)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    try:
        yield Database(urlsplit(server())._replace(path=f"/{name}").geturl(), folder)
    finally:
        with psycopg.connect(server(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]
