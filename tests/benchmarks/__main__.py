"""Figures, not tests: `make benchmarks`, or `python -m tests.benchmarks [--only a,b] [--quick] [--write]`.

Milliseconds are this machine's; ratios, made in one run, travel. Goals are compared and named as met or
not, and nothing fails by time. `--quick` shows that everything works and is too short to believe.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from tests.benchmarks import report

LETTERS = {
    "a": "upstream",
    "b": "polls",
    "c": "freshness",
    "d": "boards",
    "e": "actions",
    "f": "outage",
    "g": "memory",
    "h": "servers",
    "i": "start",
    "j": "audit_page",
    "k": "audit_append",
    "l": "audit_whole",
    "m": "sign_in",
}


def main() -> None:
    options = parse()
    began, missed = time.monotonic(), []
    for letter in options.only:
        at = time.monotonic()
        table = import_module(f"tests.benchmarks.{LETTERS[letter]}").run(options.quick)
        say(f"\n{table.text()}\n    took {time.monotonic() - at:.0f} s")
        if table.is_met is False:
            missed.append(letter)
        if options.write:
            report.renew(table)
            report.renew_machine()
    say(f"\nDone in {time.monotonic() - began:.0f} s. Goals not met: {', '.join(missed) or 'none'}.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", type=letters, default=list(LETTERS), help="such as a,c: only these")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--write", action="store_true", help="renew the tables in the documents")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("figures of a quick run do not belong into the document")
    return options


def letters(text: str) -> list[str]:
    wanted = text.replace(" ", "").split(",")
    if unknown := [letter for letter in wanted if letter not in LETTERS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(LETTERS)}")
    return wanted


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
