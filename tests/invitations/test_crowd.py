"""Actions against watchers on the database under test: they wait for each other and never deadlock."""

import json
import os
import subprocess
import sys

from tests.databases import fresh


def test_people_and_watchers_at_once_lose_nothing(tmp_path):
    with fresh(tmp_path) as database:
        environment = os.environ | {"DATABASE_URL": database.url, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.crowd"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert not [what for what in report["seen"] if what.startswith("surprise")], report
    assert report["seen"]["look"] > 1
    assert report["seen"]["work"] > 1
    assert report["events"] > 2 * report["seen"]["work"]
    assert (report["faults"], report["pending"]) == ([], 0)
