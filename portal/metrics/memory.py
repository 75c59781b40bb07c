"""Where this process counts. Nowhere, until a web server makes the memory: `manage.py watch` has nobody to tell."""

from __future__ import annotations

import os
from collections.abc import Sequence

from portal.metrics.counts import Counts, Family

PROCESS = Family("process", "Which process writes into a region. Not told as it is.", is_gauge=True)

current: Counts | None = None


def share(families: Sequence[Family], regions: int = 1) -> Counts:
    """Make the memory for this process and those it forks, each with a region of its own."""
    global current
    current = Counts([PROCESS, *families], regions)
    take(0)
    return current


def take(region: int) -> None:
    """Count into this region from now on, in this process."""
    if current is not None:
        current.take(region)
        current.set(PROCESS, (), float(os.getpid()))


def free_region(taken: set[int]) -> int:
    """Return the first region that nobody has. If there is none, two share one, and may lose a number now and then."""
    regions = current.regions if current is not None else 1
    return next((region for region in range(regions) if region not in taken), 0)


def processes() -> list[tuple[int, int]]:
    """Return the regions that were taken, and by which process last."""
    found = current.by_region(PROCESS) if current is not None else []
    return [(region, int(process)) for region, process in enumerate(found) if process]
