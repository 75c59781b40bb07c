"""What is measured inside one process: polls, boards of several sizes, and what actions add to the vendor's time.

Import it only after the environment names the settings: it is Django that is measured here.
"""

from __future__ import annotations

import gc
import io
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings

django.setup()
settings.ROOT_URLCONF = "tests.benchmarks.site"

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client as Window  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from invitations import static_files, sync  # noqa: E402
from invitations.models import Invitation, Snapshot, Status  # noqa: E402
from portal.accounts.models import User  # noqa: E402
from portal.getscreen import configured  # noqa: E402
from portal.getscreen.simulator import Simulator  # noqa: E402

SIZES = (200, 1_000, 5_000)
POLLS = 300
ACTIONS = 25
STATUSES = (Status.WAITING, Status.WAITING, Status.JOINED, Status.ACTIVE)


class Seat:
    """Somebody signed in, before the application itself: no server and no test client in between."""

    def __init__(self, username: str) -> None:
        static_files.ensure_collected()
        self.user = User.objects.get(username=username)
        self.window = Window(SERVER_NAME="127.0.0.1")
        self.window.force_login(self.user)
        self._application = get_wsgi_application()
        self._cookie = f"{settings.SESSION_COOKIE_NAME}={self.window.cookies[settings.SESSION_COOKIE_NAME].value}"

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str]]:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            "HTTP_COOKIE": self._cookie,
        } | headers
        started: list[tuple[str, list[tuple[str, str]]]] = []
        answer = self._application(environ, lambda status, headers, *_: started.append((status, headers)))
        b"".join(answer)
        answer.close()
        status, fields = started[0]
        return int(status.split()[0]), dict(fields)


def milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1_000


def median(times: int, work: Callable[[], Any]) -> float:
    return statistics.median(milliseconds(work) for _ in range(times))


def look() -> None:
    """One round of the watcher, so that the board counts as fresh."""
    sync.run_round(configured.client())


def poll() -> Iterator[str]:
    """An unchanged poll beside an empty page, in turns, so that both meet the same machine."""
    seat = Seat("agent")
    look()
    tag, times = "", {"empty": [0.0], "poll": [0.0]}
    for _ in range(POLLS):
        times["empty"].append(milliseconds(lambda: seat.get("/empty/")))
        began = time.perf_counter()
        status, headers = seat.get("/board/rows/", HTTP_HX_PTAG=tag, HTTP_HX_REQUEST="true")
        if status == 304:
            times["poll"].append((time.perf_counter() - began) * 1_000)
        tag = headers["HX-PTag"]
    empty, unchanged = (statistics.median(times[name][1:]) for name in ("empty", "poll"))
    yield f"an empty signed-in page     {empty:8.2f} ms"
    counts = []
    for path in ("/empty/", "/board/rows/"):
        with CaptureQueriesContext(connection) as queries:
            seat.get(path, HTTP_HX_PTAG=tag, HTTP_HX_REQUEST="true")
        counts.append(len(queries))
    yield (
        f"an unchanged poll           {unchanged:8.2f} ms   {unchanged / empty:.2f} times the empty page; "
        f"{counts[1]} queries, the empty page has {counts[0]}"
    )


def board() -> Iterator[str]:
    seat, first = Seat("agent"), 0.0
    for size in SIZES:
        fill(size)
        Snapshot.objects.update(good_at=timezone.now(), trouble="")
        seat.get("/")  # the first page after so many new rows pays for tidying up after them
        gc.collect()
        repeats = 7 if size <= 1_000 else 3
        page = median(repeats, lambda: seat.get("/"))
        rows = median(repeats, lambda: seat.get("/board/rows/", HTTP_HX_REQUEST="true"))
        with CaptureQueriesContext(connection) as queries:
            seat.get("/")
        first = first or page
        yield (
            f"{size:6,} open invitations     {page:8.1f} ms   {page / first:5.1f} times the first, "
            f"{len(queries)} queries; a changed poll {rows:.1f} ms"
        )
    Invitation.objects.all().delete()


def fill(size: int) -> None:
    now, account = timezone.now(), configured.client().fingerprint
    have = Invitation.objects.count()
    Invitation.objects.bulk_create(
        (
            Invitation(
                account=account,
                vendor_id=1_000_000 + number,
                status=(status := STATUSES[number % 4]),
                code=f"{number:09}",
                invite_url=f"https://go.getscreen.me/{number:09}",
                client_name=f"Client number {number}",
                client_os="win",
                ticket=f"HD-{number}",
                created_by_name="Somebody Else",
                joined_at=None if status == Status.WAITING else now,
                active_at=now if status == Status.ACTIVE else None,
            )
            for number in range(have, size)
        ),
        batch_size=500,
    )


def actions(simulator: Simulator) -> Iterator[str]:
    """Each whole action by its page, less the same calls made straight to the vendor."""
    seat, client = Seat("agent"), configured.client()
    look()
    simulator.remaining = 1_000
    with without_log():
        for name, whole, vendor in (
            ("create", create(seat), lambda: client.create("Somebody")),
            ("connect", connect(seat, simulator), lambda: straight_connect(client, simulator)),
            ("close", close(seat), lambda: client.close(simulator.add())),
        ):
            total = statistics.median(whole)
            direct = median(ACTIONS, vendor)
            yield f"{name:<27} {total - direct:8.1f} ms added to the {direct:.1f} ms of the calls themselves"


def create(seat: Seat) -> list[float]:
    return [milliseconds(lambda: post(seat, "/invitations/new/", client_name="Somebody")) for _ in range(ACTIONS)]


def connect(seat: Seat, simulator: Simulator) -> list[float]:
    rows = list(Invitation.objects.filter(status=Status.WAITING))[:ACTIONS]
    for row in rows:
        simulator.join(row.vendor_id)
    look()
    return [milliseconds(lambda row=row: post(seat, f"/invitations/{row.public_id}/connect/")) for row in rows]


def close(seat: Seat) -> list[float]:
    rows = list(Invitation.objects.open())[:ACTIONS]
    return [milliseconds(lambda row=row: post(seat, f"/invitations/{row.public_id}/close/")) for row in rows]


def straight_connect(client: Any, simulator: Simulator) -> None:
    number = simulator.add(status=1)
    client.info(number, before_connect=True)
    client.connect(number, record=None)


def post(seat: Seat, path: str, **form: str) -> None:
    answer = seat.window.post(path, form)
    if answer.status_code not in (302, 303):
        raise RuntimeError(f"{path} answered {answer.status_code}")


@contextmanager
def without_log() -> Iterator[None]:
    import logging

    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
