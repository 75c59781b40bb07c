"""(i) From `manage.py start` on a fresh copy to the first page, and again with what the first start left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from portal.embedded import free_port
from tests.benchmarks.report import Table
from tests.installation import ROOT, answers, stop, wait_until

GOAL = 5.0  # seconds
CODE = ("portal", "invitations", "templates", "static")


def run(quick: bool) -> Table:
    table = Table("i", "From `start` to the first page", f"at most {GOAL:.0f} s", ("Start", "Seconds"))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copy(ROOT / "manage.py", copy)
        for name in CODE:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for which in ("the first, which makes the database", "the second"):
            seconds = start(copy)
            table.add(which, f"{seconds:.2f}", met=seconds <= GOAL)
    return table


def start(copy: Path) -> float:
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "start", "--port", str(port)],
        cwd=copy,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(copy), "ENV_FILE": "none"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), says="start brings no page")
        return time.monotonic() - began
    finally:
        stop(process)
