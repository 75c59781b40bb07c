"""A portal that is killed and started again hundreds of times."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.installation import Installation, answers, wait_until
from tests.test_processes import family


class Warm(Installation):
    """An installation whose server starts again within a second."""

    server: int = 0

    def __init__(self, folder: Path, tap: Any, **settings: str) -> None:
        super().__init__(folder, tap, **settings)
        self.starter = self.warm_starter()
        self._processes.append(self.starter)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for pipe in (self.starter.stdin, self.starter.stdout):
            assert pipe
            pipe.close()

    def start(self) -> None:
        assert self.starter.stdin
        assert self.starter.stdout
        log = self.folder / f"serve-{self.port}.log"
        self.starter.stdin.write(f"{log} serve --bind 127.0.0.1:{self.port} --workers 1 --threads 8\n")
        self.starter.stdin.flush()
        self.server = int(self.starter.stdout.readline())
        wait_until(lambda: answers(f"{self.url}/readyz"), seconds=60, says="serve does not answer")

    def kill(self) -> None:
        for pid in family(self.server):
            os.kill(pid, signal.SIGKILL)

    def wait_for_death(self) -> None:
        wait_until(lambda: not Path(f"/proc/{self.server}").exists() and not answers(f"{self.url}/healthz"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from writing the database."""
        with closing(sqlite3.connect(self.database, timeout=20, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def look_for(self, statement: str, *parameters: Any, seconds: float = 20) -> None:
        """Return within a millisecond after a statement has found something."""
        until = time.monotonic() + seconds
        with closing(sqlite3.connect(self.database, timeout=10, isolation_level=None)) as other:
            while not other.execute(statement, parameters).fetchone() and time.monotonic() < until:
                time.sleep(0.0005)
