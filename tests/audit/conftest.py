"""Threads with connections of their own, on a database that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from invitations.models import Invitation, Operation, Policy, Snapshot
from portal.accounts.models import OneTimeLink, Tally, User
from portal.audit import triggers


@pytest.fixture
def outside(settings, tmp_path) -> Path:
    """A second place for checkpoints, and a key of the test's own."""
    settings.AUDIT_CHECKPOINT_DIR = tmp_path / "outside"
    settings.AUDIT_CHECKPOINT_DIR.mkdir()
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    return settings.AUDIT_CHECKPOINT_DIR


@pytest.fixture
def at_once(django_db_setup, django_db_blocker, tmp_path, monkeypatch) -> Iterator[Callable[..., list[Any]]]:
    """Return a function that runs another in so many threads at the same moment and returns the results.

    Threads cannot share SQLite's database in memory as they share a file, so there it is copied to one.
    On PostgreSQL what they commit is removed at the end, without the triggers that forbid it.
    """
    if "test" not in connection.settings_dict["NAME"] and "memory" not in connection.settings_dict["NAME"]:
        pytest.skip("the test database is made only for a run with a test that asks for it")
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            file = str(tmp_path / "shared.sqlite3")
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [file])
            monkeypatch.setitem(connections.settings["default"], "NAME", file)
            # Patience for busy machines: it is the numbers that are tried here, not the speed.
            monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 30)
            run_at_once(1, lambda _: None)  # the first connection makes it a write-ahead log, which it stays
        yield run_at_once
        if connection.vendor == "postgresql":
            run_at_once(1, lambda _: forget())


def run_at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """A result is what `work` returned, or the exception it raised."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=10)
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def forget() -> None:
    triggers.drop(connection)
    with connection.cursor() as cursor:
        for table in triggers.FIXED:
            cursor.execute(f"DELETE FROM audit_{table}")
    for model in (OneTimeLink, Tally, Operation, Invitation, Policy, Snapshot):
        model.objects.all().delete()
    User.objects.all().delete()
    triggers.reinstall()
