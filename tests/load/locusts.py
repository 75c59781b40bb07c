"""Starts locust as a process of its own, and reads what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.installation import ROOT, stop

FILE = Path(__file__).with_name("agents.py")
LEAVING = 20.0  # seconds that the last answers may take


@dataclass
class Crowd:
    """Who is there, and when: `begin` and `end` are seconds since 1970; before that everybody arrives and warms up."""

    url: str
    cookies: list[dict[str, str]]
    begin: float
    end: float
    agents: int = 0
    hidden: int = 0
    busy: int = 0
    acts: list[list[list[Any]]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.agents + self.hidden + self.busy + len(self.acts)


@dataclass
class Seen:
    """What the crowd saw. Seconds, by kind of answer; every answer that was none of the expected."""

    kinds: dict[str, dict[str, float]]
    failures: dict[str, int]
    done: list[dict[str, Any]]
    cpu: float | None
    output: str

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def count(self, start: str) -> int:
        return int(sum(each["count"] for name, each in self.kinds.items() if name.startswith(start)))


@contextmanager
def swarm(crowd: Crowd, *, arrive: float) -> Iterator[Seen]:
    """Let the crowd arrive within `arrive` seconds and run the block beside it; `Seen` is filled in at its end."""
    seen = Seen({}, {}, [], None, "")
    with tempfile.TemporaryDirectory(prefix="swarm-") as folder:
        plan, output, log = Path(folder, "plan.json"), Path(folder, "seen.json"), Path(folder, "log")
        plan.write_text(json.dumps(vars(crowd) | {"output": str(output)}), encoding="utf-8")
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                command(crowd, arrive),
                cwd=ROOT,
                env={"PATH": os.environ.get("PATH", ""), "LOAD_PLAN": str(plan), "PYTHONPATH": str(ROOT)},
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield seen
            process.wait(timeout=max(0.0, crowd.end - time.time()) + 2 * LEAVING)
        finally:
            stop(process)
            seen.output = log.read_text(encoding="utf-8")
        if not output.exists():
            raise RuntimeError(f"locust said nothing:\n{seen.output}")
        found = json.loads(output.read_text(encoding="utf-8"))
        seen.kinds, seen.failures, seen.done, seen.cpu = (found[name] for name in ("kinds", "failures", "done", "cpu"))


def command(crowd: Crowd, arrive: float) -> list[str]:
    rate = crowd.size / max(arrive, 1.0)
    seconds = int(crowd.end - time.time()) + 1
    words = [sys.executable, "-m", "locust", "-f", str(FILE), "--headless", "--only-summary", "--loglevel", "WARNING"]
    words += ["-u", str(crowd.size), "-r", f"{rate:.2f}", "-t", f"{seconds}s", "--stop-timeout", str(int(LEAVING))]
    return [*words, "--exit-code-on-error", "0"]
