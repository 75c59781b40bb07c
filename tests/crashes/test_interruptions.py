"""Backup, upgrade and restore are killed with -9 at any moment: what is left is whole, or refused and done again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

from django.db import connection

from tests import batteries
from tests.databases import ROOT, fresh
from tests.portal.backups.conftest import load, outside_of
from tests.releases import RELEASES, SECRET_KEY, write_key

KILLS = batteries.count(short=2, long=50)
NAME = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"


def interrupt(database, folder, *words) -> dict[str, Any]:
    known = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONWARNINGS": "ignore",
        "ENV_FILE": "none",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "SECRET_KEY": SECRET_KEY,
        "GETSCREEN_API_KEY": "test-key-not-real",
        "DATABASE_URL": database.url,
        "AUDIT_KEY_FILE": str(folder / "audit.pem"),
        "AUDIT_CHECKPOINT_DIR": str(folder / "outside"),
    }
    command = [sys.executable, "-m", "tests.crashes.interrupting", *words, str(folder / "backups")]
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["problems"] == []
    batteries.report(f"{words[0]} on {NAME}: {found['kills']} killed, {found['ended']} of them after their end")
    return found


def test_what_a_kill_leaves_is_whole_or_refused_and_can_be_done_again(tmp_path):
    write_key(tmp_path / "audit.pem")
    (tmp_path / "outside").mkdir()
    shutil.copyfile(outside_of(RELEASES[-1]), tmp_path / "outside" / "checkpoints-2026-01.txt")
    with fresh(tmp_path) as database:
        load(database, RELEASES[-1])
        for command in ("backup", "upgrade"):
            assert interrupt(database, tmp_path, command, str(KILLS))["kills"] == KILLS
    again = tmp_path / "again"
    again.mkdir()
    with fresh(again) as database:
        assert interrupt(database, tmp_path, "restore", str(KILLS))["kills"] == KILLS
