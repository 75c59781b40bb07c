"""Whoever writes the log is killed with -9 at random moments: nothing that was acknowledged is missing afterwards.

On the database of this run: SQLite's file, or a PostgreSQL of our own that writes through to the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests import batteries, postgres
from tests.benchmarks.portal import on_postgres
from tests.installation import ROOT, Installation, vendor_on_a_port

ON_POSTGRES = connection.vendor == "postgresql"
WRITERS = batteries.count(short=16, long=400 if ON_POSTGRES else 1000)
KEYS = batteries.count(short=10, long=200)
SERVERS = batteries.count(short=1, long=30)
NAME = "PostgreSQL, fsync on" if ON_POSTGRES else "SQLite, synchronous=FULL"

INTEGRITY = "" if ON_POSTGRES else ", integrity ok"


@pytest.fixture(scope="module")
def portal(tmp_path_factory) -> Iterator[Installation]:
    tmp_path = tmp_path_factory.mktemp("kills")
    outside = tmp_path / "outside"
    outside.mkdir()
    more = {"AUDIT_KEY_FILE": str(tmp_path / "keys" / "audit.pem"), "AUDIT_CHECKPOINT_DIR": str(outside)}
    with vendor_on_a_port(seed=1) as (_, server):
        if ON_POSTGRES:
            with on_postgres(durable=True) as database:
                yield ready(Installation(tmp_path, server, **more, **database))
        else:
            yield ready(Installation(tmp_path, server, **more))


def ready(portal: Installation) -> Installation:
    portal.manage("migrate", "--verbosity", "0")
    return portal


def kill(portal: Installation, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crashes.killing", *arguments],
        cwd=ROOT,
        env=portal.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["problems"] == []
    return found


def each(kills: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(kills.items()))


def test_killed_writers_lose_nothing_that_was_acknowledged(portal):
    found = kill(portal, "writers", str(WRITERS))
    assert sum(found["kills"].values()) >= WRITERS
    batteries.report(
        f"kill -9 of writers ({NAME}): {sum(found['kills'].values())} kills of 4 processes that append, seal and "
        f"anchor, erase and purge, change the key ({each(found['kills'])}); {found['looks']} looks with everything "
        "dead and again after going on: acknowledged events, anchors, erasures and purges missing 0 (events that a "
        f"purge had removed by then cannot be compared), gaps 0{INTEGRITY}, chain intact every time"
    )


def test_a_kill_while_a_key_is_made_or_changed_leaves_a_usable_one(portal):
    found = kill(portal, "keys", str(KEYS))
    batteries.report(
        f"kill -9 within 8 ms of beginning to make the signing key, 150 ms to change it ({NAME}): "
        f"{each(found['kills'])}; a usable key and an intact log every time (how many fell into the making itself was "
        "not counted)"
    )


if ON_POSTGRES:

    def test_a_killed_server_loses_nothing_that_was_acknowledged(portal):
        found = kill(portal, "server", str(SERVERS), str(postgres.STATE))
        assert found["kills"] == {"server": SERVERS}
        batteries.report(
            f"kill -9 of PostgreSQL's server ({NAME}): {SERVERS} kills under 4 writers and restarts at once; "
            "looked at once, at the end: acknowledged and missing 0, gaps 0, chain intact"
        )
