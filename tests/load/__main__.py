"""Load and soak before `serve` as it is delivered: `make load`, or `python -m tests.load [PART …]`.

Each part has its place in docs/batteries/load.txt, which is renewed when it has run: they can be run one by one. All of
them take about an hour and a quarter and need an idle machine. `--keep` writes to another file.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.batteries import header
from tests.benchmarks.report import Table
from tests.installation import ROOT
from tests.load import burst, polling, slow, soak

REPORT = ROOT / "docs" / "batteries" / "load.txt"
PARTS: dict[str, Callable[[], Table]] = {
    "poll50": partial(polling.run, 50, 300.0),
    "poll200": partial(polling.run, 200, 300.0),
    "poll1000": partial(polling.run, 1_000, 300.0, arrive=60.0),
    "burst": burst.run,
    "slow": slow.run,
    "soak": soak.run,
}


def main() -> None:
    options = parse()
    missed = []
    for name in options.parts or PARTS:
        began = time.monotonic()
        table = PARTS[name]()
        text = f"{header()}\n{table.text()}\n    took {time.monotonic() - began:.0f} s{busy(options.busy)}\n"
        print(f"\n{text}", flush=True)  # noqa: T201
        keep(options.keep, name, text)
        missed += [] if table.is_met else [name]
    print(f"\nGoals not met: {', '.join(missed) or 'none'}. Kept in {options.keep}.")  # noqa: T201


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--keep", type=Path, default=REPORT, help="where the report stands")
    parser.add_argument("--busy", action="store_true", help="say in it that the machine had other work")
    return parser.parse_args()


def busy(is_busy: bool) -> str:
    return ", while the machine had other work: times say little" if is_busy else ""


def keep(report: Path, name: str, text: str) -> None:
    """Put this part's text into the report, in place of what stood there."""
    kept = parts_of(report.read_text(encoding="utf-8")) if report.exists() else {}
    kept[name] = text.rstrip() + "\n"
    body = "\n".join(f"== {part}\n{kept[part]}" for part in PARTS if part in kept)
    report.write_text(body, encoding="utf-8")


def parts_of(text: str) -> dict[str, str]:
    found = re.split(r"^== (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], (each.rstrip() + "\n" for each in found[2::2]), strict=True))


if __name__ == "__main__":
    main()
