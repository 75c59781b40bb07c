"""Databases of their own for what a test's transaction cannot try: one with a helpdesk's first hour, and empty ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from portal.backups import programs
from tests.databases import Database, fresh, server
from tests.releases import RELEASES, unpacked, write_key


def load(database: Database, release: str) -> None:
    """Fill an empty database with what a release has left."""
    if not server():
        Path(database.url.removeprefix("sqlite:///")).write_bytes(unpacked(release, "portal.sqlite3.gz"))
        return
    psql = shutil.which("psql") or programs.find("psql", 0)
    sql = unpacked(release, "portal.sql.gz")
    subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", database.url], input=sql, check=True, capture_output=True)


def outside_of(release: str) -> Path:
    folder = Path(__file__).parents[2] / "releases" / release
    return folder / ("postgresql.txt" if server() else "sqlite.txt")


@contextmanager
def used(database: Database) -> Iterator[None]:
    """Have this thread's connection go to that database meanwhile."""
    before = connections["default"]
    other = before.copy()
    name = database.url.removeprefix("sqlite:///") if not server() else database.name
    other.settings_dict["NAME"] = name
    connections["default"] = other
    try:
        yield
    finally:
        other.close()
        connections["default"] = before


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory, django_db_blocker) -> Iterator[Database]:
    """The database of the last release, as this one has taken it over, for all tests of a module."""
    with fresh(tmp_path_factory.mktemp("taken-over")) as database, django_db_blocker.unblock():
        load(database, RELEASES[-1])
        with used(database):
            call_command("migrate", verbosity=0)
        yield database


@pytest.fixture
def place(tmp_path, settings) -> Path:
    """Keys, outside copies and backups of one installation; a fresh database takes the same places."""
    write_key(tmp_path / "audit.pem")
    settings.AUDIT_KEY_FILE = tmp_path / "audit.pem"
    settings.AUDIT_CHECKPOINT_DIR = tmp_path
    settings.BACKUP_DIR = None
    shutil.copyfile(outside_of(RELEASES[-1]), tmp_path / "checkpoints-2026-01.txt")
    return tmp_path


@pytest.fixture
def helpdesk(taken_over, place, django_db_blocker) -> Iterator[Database]:
    """A portal with people, invitations and a log, in use by this test and those before it."""
    with django_db_blocker.unblock(), used(taken_over):
        yield taken_over


@pytest.fixture
def empty(place, django_db_blocker) -> Iterator[Callable[[], Database]]:
    """Return a function that makes an empty database and goes over to it."""
    with ExitStack() as stack, django_db_blocker.unblock():

        def make() -> Database:
            folder = place / "empty"
            folder.mkdir()
            database = stack.enter_context(fresh(folder))
            stack.enter_context(used(database))
            return database

        yield make
