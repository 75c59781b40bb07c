"""Several `serve` and `watch` on one PostgreSQL behind a proxy, and people who work there without a pause.

Each start is a fork of a process that has imported the code (`tests.crashes.warm`), so that replicas can come and go
many times.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from portal.embedded import free_port
from tests.balancer import Balancer
from tests.installation import PASSWORD, Installation, wait_until

INTERVAL = 1.0  # seconds, of installations in tests
REVISION = "SELECT good_at, lease_token FROM invitations_snapshot"


def family(pid: int) -> list[int]:
    """A process and its children, as far as they are there."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *map(int, children)]
    return []


@dataclass
class Replica:
    """One `serve` or `watch` that comes and goes."""

    portal: Replicas
    command: str
    port: int = 0
    pid: int = 0
    relatives: list[int] = field(default_factory=list)

    def start(self) -> None:
        where = f"--bind 127.0.0.1:{self.port} --workers 2 --threads 8" if self.port else ""
        self.pid = self.portal.begin(f"{self.log} {self.command} {where}")

    @property
    def log(self) -> Path:
        return self.portal.folder / f"{self.command}-{self.port or id(self)}.log"

    def send(self, number: int) -> None:
        """Send a signal to the process that the administrator knows."""
        self.relatives = family(self.pid)
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with all its processes, as a container's engine does."""
        self.relatives = family(self.pid)
        for pid in self.relatives:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in (self.pid, *self.relatives))


class Replicas(Installation):
    """The portal on PostgreSQL in several processes of each kind."""

    def __init__(self, folder: Path, vendor: Any, *, serve: int = 2, watch: int = 2, **settings: str) -> None:
        super().__init__(folder, vendor, TRUSTED_PROXIES="127.0.0.1", **settings)
        self.database_url = self.environment["DATABASE_URL"]
        self.webs = [Replica(self, "serve", free_port()) for _ in range(serve)]
        self.watchers = [Replica(self, "watch") for _ in range(watch)]
        self.starter = self.warm_starter()
        self._turn = threading.Lock()

    def __exit__(self, *error: Any) -> None:
        for replica in (*self.webs, *self.watchers):
            if replica.pid:
                replica.kill()
        super().__exit__(*error)
        self.starter.terminate()
        self.starter.wait()
        for pipe in (self.starter.stdin, self.starter.stdout):
            assert pipe
            pipe.close()

    def begin(self, line: str) -> int:
        assert self.starter.stdin
        assert self.starter.stdout
        with self._turn:
            self.starter.stdin.write(f"{line}\n")
            self.starter.stdin.flush()
            return int(self.starter.stdout.readline())

    def start(self, proxy: Balancer) -> None:
        """Start all, and return once the proxy sends people to each and the list was looked at."""
        for replica in (*self.webs, *self.watchers):
            replica.start()
        self.url = proxy.url
        for web in self.webs:
            self.wait_for(web, proxy)
        wait_until(lambda: self.good_at(), seconds=60, says="nobody looks at Getscreen")

    def wait_for(self, web: Replica, proxy: Balancer) -> None:
        wait_until(lambda: proxy.is_up(web.port), seconds=60, says=f"it does not come up:\n{web.log.read_text()}")

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement.replace("?", "%s"), parameters or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def good_at(self) -> Any:
        rows = self.ask(REVISION)
        return rows[0][0] if rows else None

    def holder(self) -> str:
        return str(self.ask(REVISION)[0][1])


class Person:
    """Somebody with a browser, as far as HTTP goes."""

    def __init__(self, url: str, name: str, password: str = PASSWORD) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.get("/accounts/login/")
        self.first = self.post("/accounts/login/", login=name, password=password)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", headers=headers, allow_redirects=False, timeout=60)

    def post(self, path: str, **fields: str) -> requests.Response:
        data = fields | {"csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        return self.session.post(f"{self.url}{path}", data=data, allow_redirects=False, timeout=60)


@dataclass(frozen=True)
class Result:
    """How one request ended. `status` is 0 where there was no answer."""

    at: float
    what: str
    status: int
    says: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return 0 < self.status < 400


class Work:
    """People who poll, open pages and create without a pause, each in a thread. Also a context manager."""

    def __init__(self, url: str, names: tuple[str, ...], *, pause: float = 0.1) -> None:
        self.people = [Person(url, name) for name in names]
        self.pause = pause
        self.results: list[Result] = []
        self.made: list[str] = []  # names of clients whose creation was answered with success
        self.tried: list[str] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self.work, args=(person, number), daemon=True)
            for number, person in enumerate(self.people)
        ]

    def __enter__(self) -> Work:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def work(self, person: Person, number: int) -> None:
        turn = 0
        while not self._stopping.wait(self.pause):
            turn += 1
            if (number + turn) % 3 == 0:
                name = f"Client {time.time_ns()}"
                self.tried.append(name)
                form = {"client_name": name, "token": os.urandom(16).hex()}
                if self.note("create", lambda form=form: person.post("/invitations/new/", **form)).is_good:
                    self.made.append(name)
            elif (number + turn) % 3 == 1:
                self.note("board", lambda: person.get("/"))
            else:
                self.note("poll", lambda: person.get("/board/rows/", **{"HX-Request": "true"}))

    def note(self, what: str, ask: Callable[[], requests.Response]) -> Result:
        began = time.monotonic()
        try:
            answer = ask()
            status, says = answer.status_code, answer.text if answer.status_code >= 500 else ""
        except requests.RequestException as error:
            status, says = 0, type(error).__name__
        result = Result(began, what, status, says, time.monotonic() - began)
        self.results.append(result)
        return result

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if not result.is_good]

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Wait until so many more requests have ended well."""
        before = sum(result.is_good for result in self.results)
        wait_until(lambda: sum(result.is_good for result in self.results) >= before + count, seconds=seconds)

    def summary(self) -> str:
        bad = Counter(f"{result.what} {result.status}" for result in self.failures)
        return f"{len(self.results)} requests, {sum(bad.values())} not answered well {dict(bad) or ''}".rstrip()
