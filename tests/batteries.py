"""How much the batteries do: short in the suite, long by `make batteries`, which sets LONG.

A battery prints one line with what it did and found; `make batteries` keeps those lines under docs/.
"""

from __future__ import annotations

import os

IS_LONG = os.environ.get("LONG") == "1"


def count(*, short: int, long: int) -> int:
    return long if IS_LONG else short


def report(line: str) -> None:
    """Say what a battery did, past pytest's capture, where somebody waits for it."""
    if IS_LONG:
        with open(os.environ["BATTERY_REPORT"], "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
