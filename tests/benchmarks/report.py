"""One table per benchmark: what was measured, its goal and whether it is met, for the terminal and for the document.

Knows nothing of what is measured. A table in the document is renewed between its markers, the rest stays.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.batteries import header
from tests.installation import ROOT
from tests.tools import postgres_bin

DOCUMENT = ROOT / "docs" / "performance.md"
AUDIT = ROOT / "docs" / "audit.md"  # has the tables about the log
SIGN_IN = ROOT / "docs" / "batteries" / "sign-in.txt"  # holds one table and nothing else
MET, NOT_MET, NO_GOAL = "met", "**not met**", "–"


@dataclass
class Table:
    """The result of one benchmark. A goal's outcome is computed by whoever adds the row, never typed."""

    letter: str
    title: str
    goal: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)

    def add(self, *cells: str, met: bool | None = None) -> None:
        """Add a row; `met` says whether its goal is reached, None that it has none."""
        if met is not None:
            self.outcomes.append(met)
        self.rows.append((*cells, verdict(met)))

    @property
    def is_met(self) -> bool | None:
        return all(self.outcomes) if self.outcomes else None

    def markdown(self) -> str:
        head = (*self.columns, "Goal")
        lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        parts = [f"Goal: {self.goal}. Together: {verdict(self.is_met)}.", "\n".join(lines), *self.notes, provenance()]
        return "\n\n".join(parts)

    def text(self) -> str:
        rows = [(*self.columns, "goal"), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        head = f"({self.letter}) {self.title}\n    goal: {self.goal}: {verdict(self.is_met)}"
        return "\n    ".join([head, *(line.rstrip() for line in lines), *self.notes])


def verdict(met: bool | None) -> str:
    return NO_GOAL if met is None else MET if met else NOT_MET


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1_000:.1f} ms"


def times(ratio: float) -> str:
    return f"{ratio:.2f} ×"


def renew(table: Table, document: Path | None = None) -> None:
    """Put the table between its markers in the document. Raises ValueError if they are missing."""
    if table.letter == "m":
        (document or SIGN_IN).write_text(f"{header()}\n{table.text()}\n", encoding="utf-8")
        return
    home = AUDIT if table.letter in "jkl" else DOCUMENT
    replace_between(document or home, table.letter, table.markdown())


def renew_machine(document: Path = DOCUMENT) -> None:
    replace_between(document, "machine", machine())


def replace_between(document: Path, name: str, content: str) -> None:
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    text, found = pattern.subn(lambda match: f"{match[1]}{content}\n{match[2]}", document.read_text(encoding="utf-8"))
    if not found:
        raise ValueError(f"{document} has no place for {name}")
    document.write_text(text, encoding="utf-8")


def provenance() -> str:
    """Return when and of what this was measured."""
    return f"*{datetime.now(UTC):%-d %B %Y}, release {release()}, commit {commit()}.*"


def release() -> str:
    found = re.search(
        r'^RELEASE = "(.+)"$', (ROOT / "portal" / "settings.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else "unknown"


def commit() -> str:
    said = said_by("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    is_changed = said_by(
        "git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "portal", "invitations"
    )
    return (said or "unknown") + (" with changes" if is_changed else "")


def machine() -> str:
    """Describe this machine and the versions of what is measured."""
    programs = postgres_bin()
    postgres = said_by(str(programs / "postgres"), "--version") if programs else "PostgreSQL is not installed"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rows = (
        ("Processor", f"{processor()}, {os.cpu_count()} cores"),
        ("Memory", f"{memory:.0f} GiB"),
        ("System", f"{operating_system()}, Linux {platform.release()}"),
        ("Python", platform.python_version()),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in ("Django", "gunicorn", "psycopg"))),
        ("Databases", f"SQLite {sqlite3.sqlite_version}; {postgres}"),
    )
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
