"""Exporting a whole log and checking what came out: `python -m tests.benchmarks.audit_export FILE [FORM]`.

FILE is an SQLite database with many events, as `tests.benchmarks.audit_log` makes it; it gets the
events of this export. Prints rows in a second, how far memory grew, and what the check took.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "portal" / "audit" / "verify_export.py"
MEBIBYTE = 2**20
SAMPLES = 0.05  # seconds between two looks at the memory
WARM = 2.0  # seconds after which the program has loaded what it needs


class Run(NamedTuple):
    """How a program ended: what it said, its seconds, those of a processor, its memory when warm and at the most."""

    code: int
    said: str
    seconds: float
    busy: float
    warm: int
    peak: int


def main(file: Path, form: str = "zip") -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = folder / "audit.pem"
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{file.resolve()}",
            "AUDIT_KEY_FILE": os.environ.get("AUDIT_KEY_FILE", str(key)),
            "SECRET_KEY": os.environ.get("SECRET_KEY", "only-for-benchmarks-0123456789-0123456789-0123456789"),
        }
        out = folder / f"export.{form}"
        command = [sys.executable, str(ROOT / "manage.py"), "audit_export", f"--{form}", "--out", str(out)]
        exported = watched(command, environment)
        rows = int((re.search(r"^(\d+) events", exported.said, re.MULTILINE) or ["", "0"])[1])
        tell(f"export ({form})", exported, rows)
        tell_size(out)
        if form != "zip" or exported.code:
            return exported.code
        checked = watched([sys.executable, "-I", "-S", str(VERIFIER), str(out)], {})
        tell("check", checked, rows)
    return 0 if checked.code == 2 else 1  # incomplete: nothing outside is given here


def watched(command: list[str], environment: dict[str, str]) -> Run:
    """Run a program and look at its memory."""
    with tempfile.TemporaryFile() as said:
        began, before = time.monotonic(), os.times()
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT, cwd=ROOT)
        warm = peak = 0
        while process.poll() is None:
            now = resident(process.pid)
            peak = max(peak, now)
            if time.monotonic() - began < WARM:
                warm = peak
            time.sleep(SAMPLES)
        seconds, after = time.monotonic() - began, os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        said.seek(0)
        return Run(process.returncode, said.read().decode(), seconds, busy, warm, peak)


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 if it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def tell(what: str, run: Run, rows: int) -> None:
    print(  # noqa: T201
        f"{what}: {rows} events in {run.seconds:.1f} s ({run.busy:.1f} s of a processor), "
        f"{rows / run.seconds:,.0f} in a second; "
        f"memory {run.peak / MEBIBYTE:.0f} MiB at the most, {(run.peak - run.warm) / MEBIBYTE:+.0f} MiB after "
        f"{WARM:.0f} s; exit code {run.code}"
    )
    if run.code not in (0, 2):
        print(run.said)  # noqa: T201


def tell_size(out: Path) -> None:
    if out.exists():
        print(f"file: {out.stat().st_size / MEBIBYTE:.0f} MiB")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:3]))
