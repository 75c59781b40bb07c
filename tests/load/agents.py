"""What locust runs: people before their boards, who poll as the page's scripts do, and some who press buttons.

A program for `locust -f`, never imported by tests: gevent changes sockets and threads of the whole
process. The file that LOAD_PLAN names says who there is and until when; what was seen is written to
the file that it names. Times before `begin` warm up, failures count from the first request on.
"""

from __future__ import annotations

import html
import json
import os
import random
import re
import resource
import secrets
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser, constant, events, task
from locust.exception import StopUser

from tests.benchmarks.load import attribute, percentile

PLAN: dict[str, Any] = json.loads(Path(os.environ["LOAD_PLAN"]).read_text(encoding="utf-8"))
BEGIN, END = PLAN["begin"], PLAN["end"]
SPREAD = 0.3  # seconds, as poll.js spreads its polls
HIDDEN = 12.0  # seconds between two questions of a hidden page, as words.html says
BREAK = 20.0  # seconds between two steps of somebody busy
times: dict[str, list[float]] = defaultdict(list)
failures: Counter[str] = Counter()
done: list[dict[str, Any]] = []
used: list[float] = []
finished: list[Any] = []


class Person(FastHttpUser):
    """Somebody signed in, on connections of their own."""

    abstract = True
    wait_time = constant(0)
    host = PLAN["url"]
    waiting: ClassVar[list[dict[str, str]]]

    def on_start(self) -> None:
        self.cookies = self.waiting.pop()

    def ask(self, method: str, path: str, names: dict[int, str], **more: Any) -> Any:
        """Return the answer. It is kept under the name that belongs to its status; any other status is a failure."""
        began = time.time()
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= more.pop("headers", {})
        answer = self.client.request(method, path, headers=headers, allow_redirects=False, name=path, **more)
        seconds = time.time() - began
        if answer.status_code not in names:
            failures[
                f"{method} {re.sub('/[A-Za-z0-9_-]{16,}/', '/…/', path)}: {answer.status_code or answer.error!r}"
            ] += 1
        elif BEGIN <= began < END:
            times[names[answer.status_code]].append(seconds)
        return answer

    def wait_until_end(self) -> None:
        if time.time() >= END:
            raise StopUser


class Agent(Person):
    """Has the board open and in view."""

    fixed_count = PLAN.get("agents", 0)
    waiting: ClassVar = PLAN["cookies"][: PLAN.get("agents", 0)]

    def on_start(self) -> None:
        super().on_start()
        self.next = 0.0
        self.open_board()

    def open_board(self) -> None:
        page = self.ask("GET", "/", {200: "the board's page"}).text or ""
        board = re.search(r'<div[^>]* id="board"[^>]*>', page)
        if board is None:  # counted already
            gevent.sleep(1)
            return
        self.path = html.unescape(attribute("hx-get", board[0]))
        self.release = html.unescape(attribute("data-release", page))
        self.tag = html.unescape(attribute("hx-ptag", board[0]))
        self.next = 1 + random.random() * SPREAD

    @task
    def poll(self) -> None:
        gevent.sleep(self.next)
        self.wait_until_end()
        if not self.next:
            return self.open_board()
        headers = {"HX-Request": "true", "HX-PTag": self.tag, "X-Release": self.release}
        answer = self.ask("GET", self.path, {304: "poll, nothing new", 200: "poll, a changed board"}, headers=headers)
        said = answer.headers or {}
        self.tag = said.get("HX-PTag", self.tag)
        self.next = float(said.get("X-Poll-In", 3.0)) + random.random() * SPREAD
        return None


class HiddenPage(Person):
    """Has the board open and does not see it: a worker asks who waits."""

    fixed_count = PLAN.get("hidden", 0)
    waiting: ClassVar = PLAN["cookies"][: PLAN.get("hidden", 0)]
    tag = ""

    @task
    def ask_who_waits(self) -> None:
        gevent.sleep(HIDDEN if self.tag else random.random() * HIDDEN)
        self.wait_until_end()
        headers = {"HX-Request": "true", "HX-PTag": self.tag}
        names = {304: "hidden page, nothing new", 200: "hidden page, who waits"}
        self.tag = (self.ask("GET", "/board/waiting/", names, headers=headers).headers or {}).get("HX-PTag", self.tag)


class Presser(Person):
    """Presses buttons, whose forms need the token against forgery."""

    abstract = True

    def on_start(self) -> None:
        super().on_start()
        given = (self.ask("GET", "/invitations/new/", {200: "the form"}).headers or {}).get("Set-Cookie", "")
        self.cookies["csrftoken"] = given.partition("csrftoken=")[2].partition(";")[0]

    def press(self, what: str, path: str, **form: str) -> dict[str, Any]:
        began = time.time()
        form |= {"csrfmiddlewaretoken": self.cookies["csrftoken"], "token": secrets.token_hex(16)}
        answer = self.ask("POST", path, {302: what, 303: what}, data=form)
        to = (answer.headers or {}).get("Location", "")
        done.append({"what": what, "path": path, "status": answer.status_code, "to": to, "took": time.time() - began})
        return done[-1]


class Doer(Presser):
    """Presses at moments that the plan names: seconds after `begin`, what, and the path of what it is done to."""

    fixed_count = len(PLAN.get("acts", ()))
    waiting: ClassVar = PLAN["cookies"][: len(PLAN.get("acts", ()))]
    lists: ClassVar = list(PLAN.get("acts", ()))

    def on_start(self) -> None:
        super().on_start()
        self.acts = self.lists.pop()

    @task
    def act(self) -> None:
        if not self.acts:
            finished.append(self)
            if len(finished) == self.fixed_count:
                self.environment.runner.quit()
            raise StopUser
        after, what, path, name = self.acts.pop(0)
        gevent.sleep(max(0.0, BEGIN + after - time.time()))
        self.press(what, path, client_name=name)


class Busy(Presser):
    """Makes an invitation, connects once its client is there, closes it, and begins again."""

    fixed_count = PLAN.get("busy", 0)
    waiting: ClassVar = PLAN["cookies"][: PLAN.get("busy", 0)]

    @task
    def work(self) -> None:
        gevent.sleep(random.random() * 2 * BREAK)
        self.wait_until_end()
        made = self.press("create", "/invitations/new/", client_name=f"Made {secrets.token_hex(6)}")
        if not made["to"]:
            return
        for what in ("connect", "close"):
            gevent.sleep(BREAK)
            self.press(what, f"{made['to']}{what}/")


def processor() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


@events.test_start.add_listener
def clock(environment: Any, **_: Any) -> None:
    def note(at: float) -> None:
        gevent.sleep(max(0.0, at - time.time()))
        used.append(processor())

    for at in (BEGIN, END):
        gevent.spawn(note, at)


@events.quitting.add_listener
def write(environment: Any, **_: Any) -> None:
    kinds = {name: summary(seconds) for name, seconds in sorted(times.items())}
    seen = {"kinds": kinds, "failures": dict(failures), "done": done}
    seen |= {"cpu": used[1] - used[0] if len(used) > 1 else None, "spawned": environment.runner.user_count}
    Path(PLAN["output"]).write_text(json.dumps(seen), encoding="utf-8")


def summary(seconds: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "longest": 1.0}
    return {"count": len(seconds)} | {name: percentile(seconds, share) for name, share in shares.items()}
