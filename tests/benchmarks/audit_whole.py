"""(l) Reading a whole log of a million events: the check, the export, and the check of what came out of it.

Also for itself: `python -m tests.benchmarks.audit_whole [LOG]`, a database of `audit_log`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import audit_log
from tests.benchmarks.audit_export import MEBIBYTE, VERIFIER, WARM, Run, watched
from tests.benchmarks.report import Table
from tests.installation import ROOT

SIZE, QUICK = 1_000_000, 3_000
VERIFY_SECONDS, VERIFY_MEMORY = 30, 150 * MEBIBYTE
GROWTH = 32 * MEBIBYTE  # of a program that streams: what its buffers and caches may still take


def run(quick: bool, file: Path | None = None) -> Table:
    size = QUICK if quick else SIZE
    table = Table(
        "l",
        f"Reading all of {size:,} events",
        f"checked in at most {VERIFY_SECONDS} s and {VERIFY_MEMORY // MEBIBYTE} MiB; the export’s memory does not grow",
        ("What", "Seconds", "Events in a second", "Memory at most", f"Growth after {WARM:.0f} s", "Exit code"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), file or Path(name) / "log.sqlite3"
        if not log.exists():
            audit_log.make(log, size)
        outside = folder / "outside"
        outside.mkdir()
        environment = audit_log.environment(log) | {"AUDIT_CHECKPOINT_DIR": str(outside)}
        watched(manage("audit_checkpoint"), environment)
        checked = watched(manage("audit_verify", "--read-only"), environment)
        # The log may end in the middle of somebody's operation: then it is incomplete, and says so.
        is_good = checked.code in (0, 2) and checked.seconds <= VERIFY_SECONDS and checked.peak <= VERIFY_MEMORY
        add(table, "audit_verify", checked, size, met=is_good)
        out = folder / "export.zip"
        exported = watched(manage("audit_export", "--out", str(out)), environment)
        grown = exported.peak - exported.warm
        add(table, "audit_export, ZIP", exported, size, met=exported.code == 0 and grown <= GROWTH)
        anchors = [part for found in outside.iterdir() for part in ("--anchors", str(found))]
        reading = [sys.executable, "-I", "-S", str(VERIFIER), str(out), "--key", key_of(environment), *anchors]
        read = watched(reading, {})
        add(table, "verify_export.py", read, size, met=read.code == 0)
        table.notes.append(f"The export has {out.stat().st_size // MEBIBYTE} MiB.")
    return table


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def key_of(environment: dict[str, str]) -> str:
    """Return the public key, as an auditor has noted it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from portal.audit.keys import SigningKey

    return SigningKey.read(Path(environment["AUDIT_KEY_FILE"])).public.hex


def add(table: Table, what: str, run: Run, size: int, *, met: bool) -> None:
    grown = f"{(run.peak - run.warm) / MEBIBYTE:+.0f} MiB"
    cells = (f"{run.seconds:.1f}", f"{size / run.seconds:,.0f}", f"{run.peak / MEBIBYTE:.0f} MiB", grown, str(run.code))
    table.add(what, *cells, met=met)
    if not met:
        table.notes.append(f"{what} said: {run.said[-300:]}")


if __name__ == "__main__":
    print(run(False, *map(Path, sys.argv[1:2])).text())  # noqa: T201
