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
    assert report["duels"] == [["told of True", "won"]] * len(report["duels"]), "two at once: one wins, alone"
    assert report["links"] == len(report["duels"]) / 2, "the vendor heard of no loser"
    assert (report["faults"], report["pending"]) == ([], 0)
