"""How much the batteries do: short in the suite, long by `make batteries`, which sets LONG.

A battery prints one line with what it did and found; `make batteries` keeps those lines under docs/.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime

IS_LONG = os.environ.get("LONG") == "1"


def count(*, short: int, long: int) -> int:
    return long if IS_LONG else short


def report(line: str) -> None:
    """Say what a battery did, past pytest's capture, where somebody waits for it."""
    if IS_LONG:
        with open(os.environ["BATTERY_REPORT"], "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def header() -> str:
    """Return one line with when, where and of what the long batteries ran."""
    from tests.benchmarks.report import commit, processor, said_by
    from tests.tools import postgres_bin

    programs = postgres_bin()
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    versions += [said_by(str(programs / "postgres"), "--version")] if programs else []
    machine = f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}"
    return f"# {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}; {machine}; {', '.join(versions)}"


if __name__ == "__main__":
    print(header())  # noqa: T201
