"""Figures, not tests: `make benchmarks`, or `python -m tests.benchmarks`. Takes under two minutes.

Milliseconds are this machine's; ratios, made in one run, travel. Nothing here passes or fails by time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.installation import ROOT, Installation, answers, free_port, stop, vendor_on_a_port, wait_until

CODE = ("portal", "invitations", "templates", "static")


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, vendor_on_a_port() as (simulator, server):
        folder = Path(name)
        show("From `start` to the first page", first_page(folder))
        installation = Installation(folder, server)
        installation.prepare()
        os.environ.clear()
        os.environ.update(installation.environment)
        from tests.benchmarks import inside

        show("Polling", inside.poll())
        show("The board", inside.board())
        show(
            "What the portal adds (median; audit entries are on the disk before and after each call)",
            inside.actions(simulator),
        )
    print(f"\nDone in {time.monotonic() - began:.0f} s.")  # noqa: T201


def show(title: str, lines: Iterable[str]) -> None:
    print(f"\n{title}", flush=True)  # noqa: T201
    for line in lines:
        print(f"  {line}", flush=True)  # noqa: T201


def first_page(folder: Path) -> Iterator[str]:
    """A copy of the code without anything that earlier runs left, started as the demo, twice."""
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "manage.py", copy)
    for name in CODE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for which in ("first, with its database", "again"):
        yield f"{which:<27} {start(copy):8.2f} s"


def start(copy: Path) -> float:
    port = free_port()
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(copy), "ENV_FILE": "none"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "start", "--port", str(port)],
        cwd=copy,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), says="start brings no page")
        return time.monotonic() - began
    finally:
        stop(process)


if __name__ == "__main__":
    main()
