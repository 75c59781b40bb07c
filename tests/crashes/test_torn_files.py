"""After a crash of the machine SQLite's write-ahead log may be torn anywhere: what is whole stays, and is a prefix."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import batteries
from tests.installation import ROOT, Installation, vendor_on_a_port

COMMITS = batteries.count(short=4, long=24)
STEP = batteries.count(short=16, long=1)  # of so many sectors one
ACKNOWLEDGED = 200
FSYNC = re.compile(r"\b(fdatasync|fsync)\(\d+<[^>]*-wal>\)\s+= 0")


@pytest.fixture
def portal(tmp_path) -> Iterator[Installation]:
    outside = tmp_path / "outside"
    outside.mkdir()
    more = {"AUDIT_KEY_FILE": str(tmp_path / "keys" / "audit.pem"), "AUDIT_CHECKPOINT_DIR": str(outside)}
    with vendor_on_a_port(seed=1) as (_, server):
        portal = Installation(tmp_path, server, **more)
        portal.manage("migrate", "--verbosity", "0")
        yield portal


def run(portal: Installation, *command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=portal.environment, capture_output=True, text=True, check=False, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_torn_write_ahead_log_leaves_an_intact_prefix(portal):
    program = (sys.executable, "-m", "tests.crashes.tearing", "tear", str(COMMITS), str(STEP))
    found = json.loads(run(portal, *program))
    assert found["problems"] == []
    assert found["prefixes"] > COMMITS / 2, "the files were torn where nothing stood"
    batteries.report(
        f"torn -wal ({found['bytes']} bytes with {COMMITS} commits and their checkpoints): "
        f"{', '.join(f'{count} x {how}' for how, count in found['cases'].items())}, at every {512 * STEP} bytes; "
        f"{found['prefixes']} different prefixes: all open, integrity ok, each a prefix with all that was whole on the "
        "disk, intact against the anchors made by then, and can be continued"
    )


if batteries.IS_LONG and shutil.which("strace"):

    def test_the_disk_has_an_event_before_it_is_acknowledged(portal, tmp_path):
        calls: Path = tmp_path / "calls.txt"
        strace = ("strace", "-f", "-y", "-e", "trace=fdatasync,fsync,write", "-o", str(calls))
        run(portal, *strace, sys.executable, "-m", "tests.crashes.tearing", "acknowledge", str(ACKNOWLEDGED))
        parts = calls.read_text(encoding="utf-8", errors="replace").split('"acknowledged\\n"')
        synced = sum(bool(FSYNC.search(part)) for part in parts[:-1])
        assert (len(parts) - 1, synced) == (ACKNOWLEDGED, ACKNOWLEDGED)
        batteries.report(
            f"system calls (strace, SQLite): a sync of the -wal before {synced} of {ACKNOWLEDGED} acknowledgements"
        )
