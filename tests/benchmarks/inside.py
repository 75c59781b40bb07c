"""One process of its own with a board of one size, measured before the application itself: no server in between.

A program for `boards`: it fills its database, says how long its first page took, and for each line on
its input makes one sample and answers with JSON. So boards of several sizes take turns on the same machine.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import re
import sys
import time
from typing import Any

import django
from django.conf import settings

django.setup()

from django.contrib.auth.models import Group  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import F  # noqa: E402
from django.test import Client as Window  # noqa: E402
from django.utils import timezone  # noqa: E402

from invitations import static_files  # noqa: E402
from invitations.models import Invitation, Snapshot, Status  # noqa: E402
from portal.accounts.models import User  # noqa: E402
from portal.getscreen import configured  # noqa: E402

STATUSES = (Status.WAITING, Status.WAITING, Status.JOINED, Status.ACTIVE)


class Counted:
    """Counts statements as they go to the database, without keeping or explaining them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.count += 1
        return execute(*arguments)


class Seat:
    """Somebody signed in, before the application."""

    def __init__(self, username: str) -> None:
        user = User.objects.create_user(username, first_name="Person", last_name=username)
        user.groups.set(Group.objects.filter(name="Agent"))
        window = Window(SERVER_NAME="127.0.0.1")
        window.force_login(user)
        self._application = get_wsgi_application()
        self._cookie = f"{settings.SESSION_COOKIE_NAME}={window.cookies[settings.SESSION_COOKIE_NAME].value}"

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        """Return seconds, bytes, queries and body of one answer, which must be 200."""
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
        statuses: list[str] = []
        queries = Counted()
        gc.collect()
        with connection.execute_wrapper(queries):
            began = time.perf_counter()
            answer = self._application(environ, lambda status, *_: statuses.append(status))
            body = b"".join(answer)
            answer.close()
            seconds = time.perf_counter() - began
        if not statuses[0].startswith("200"):
            raise RuntimeError(f"{path} answered {statuses[0]}")
        return {"seconds": seconds, "bytes": len(body), "queries": queries.count, "body": body}


def sample(first: Seat, second: Seat, release: str) -> dict[str, Any]:
    """Measure the page and the fragment: just after a change, and again for the next person."""
    poll = {"HTTP_HX_REQUEST": "true", "HTTP_HX_PTAG": "an earlier one"} | (
        {"HTTP_X_RELEASE": release} if release else {}
    )
    change()
    page, page_again = first.get("/"), second.get("/")
    change()
    fragment, fragment_again = first.get("/board/rows/", **poll), second.get("/board/rows/", **poll)
    seen = {"page": page, "page again": page_again, "fragment": fragment, "fragment again": fragment_again}
    for each in seen.values():
        del each["body"]
    return seen


def change() -> None:
    """Rename one row as a round of the watcher does, and be as fresh as after one."""
    place = Invitation.objects.order_by("-pk").first()
    assert place is not None
    revision = Snapshot.objects.get().revision + 1
    place.client_name = f"Renamed {revision}"
    place.changed_in = revision
    place.save(update_fields=["client_name", "changed_in"])
    Snapshot.objects.update(revision=F("revision") + 1, good_at=timezone.now(), attempted_at=timezone.now(), trouble="")


def fill(size: int) -> None:
    now, account = timezone.now(), configured.client().fingerprint
    snapshot = Snapshot.load()
    snapshot.account, snapshot.remaining, snapshot.trouble, snapshot.good_at = account, 100, "", now
    snapshot.save()
    Invitation.objects.bulk_create(
        (
            Invitation(
                account=account,
                vendor_id=1_000_000 + number,
                status=(status := STATUSES[number % 4]),
                code=f"{number:09}",
                invite_url=f"https://go.getscreen.me/{number:09}",
                client_name=f"Client number {number}",
                client_os="" if status == Status.WAITING else "win",
                ticket=f"HD-{number}",
                created_by_name="Somebody Else",
                joined_at=None if status == Status.WAITING else now,
                active_at=now if status == Status.ACTIVE else None,
            )
            for number in range(size)
        ),
        batch_size=500,
    )


def main() -> None:
    logging.disable(logging.WARNING)
    static_files.ensure_collected()
    first, second = Seat("first"), Seat("second")
    fill(int(sys.argv[1]))
    coldest = first.get("/")
    found = re.search(r'data-release="([^"]*)"', coldest["body"].decode())
    release = found[1] if found else ""
    print(json.dumps(coldest["seconds"]), flush=True)  # noqa: T201
    for _ in sys.stdin:
        print(json.dumps(sample(first, second, release)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
