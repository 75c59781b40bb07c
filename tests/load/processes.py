"""What a process takes from the machine: seconds of processor, memory, open files. Linux tells it below /proc."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.portal import descriptors, resident, workers_of

TICKS = os.sysconf("SC_CLK_TCK")


def processor(pid: int) -> float:
    """Seconds of processor that a process has used so far, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def proportional(pid: int) -> int:
    """Its memory in bytes, what it shares with others divided among them."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at each worker of a server, in the order of `pids`, and at the log SQLite writes ahead."""

    at: float
    pids: list[int]
    processor: list[float]
    resident: list[int]
    proportional: list[int]
    files: list[int]
    wal: int


def look(master: int, database: Path) -> Sample:
    pids = workers_of(master)
    wal = database.with_name(f"{database.name}-wal")
    return Sample(
        time.time(),
        pids,
        *([measure(pid) for pid in pids] for measure in (processor, resident, proportional, descriptors)),
        wal.stat().st_size if wal.exists() else 0,
    )


@dataclass
class Watch:
    """Samples taken one after the other."""

    master: int
    database: Path
    samples: list[Sample] = field(default_factory=list)

    def look(self) -> None:
        self.samples.append(look(self.master, self.database))

    def since(self, at: float) -> list[Sample]:
        return [sample for sample in self.samples if sample.at >= at]

    def is_whole(self) -> bool:
        """Whether the same workers lived all the time."""
        return len({tuple(sample.pids) for sample in self.samples}) == 1
