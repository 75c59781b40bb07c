"""Lines of CSV files (RFC 4180) in which no spreadsheet finds a formula.

A cell that could be one gets an apostrophe in front, and so does one that begins with an apostrophe:
whoever takes one away from each reads back what was written.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MARK = "\ufeff"  # at the beginning of a file: without it Excel takes UTF-8 for something else
DANGEROUS = frozenset("=+-@\t\r\n\x00＝＋－＠'")  # after spaces as well: some programs skip those


def safe(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \u00a0")[:1] in DANGEROUS else text


def encode(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as lines in UTF-8."""
    lines = io.StringIO()
    csv.writer(lines).writerows([safe(cell) for cell in row] for row in rows)
    return lines.getvalue().encode("utf-8", "replace")


def header(names: Sequence[str]) -> bytes:
    """Return the first line of a file."""
    return MARK.encode() + encode([names])
