"""What a test run needs beside Python packages: a Chromium for journeys, a PostgreSQL server for the second run.

Run as a program it says loudly what is missing, what is left out because of it, and how to get it.
On CI (`CI` in the environment) anything missing is an error.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def chromium_args() -> list[str]:
    return [*CHROMIUM_ARGS, "--no-sandbox"] if os.geteuid() == 0 else CHROMIUM_ARGS


def postgres_bin() -> Path | None:
    """Return the folder with PostgreSQL's server programs, the newest if there are several."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


def missing() -> list[str]:
    notes = []
    if chromium() is None:
        notes.append("No Chromium: the browser tests are left out. Debian: apt-get install chromium")
    if postgres_bin() is None:
        notes.append("No PostgreSQL server: the run on it is left out. Debian: apt-get install postgresql")
    return notes


def main() -> int:
    notes = missing()
    for note in notes:
        print(f"*** {note}", file=sys.stderr)  # noqa: T201
    return 1 if notes and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
