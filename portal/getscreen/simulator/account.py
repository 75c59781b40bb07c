"""The vendor's side of one account: invitations, sessions, one-time links and the plan's limit.

Responsible for how they change, whoever asks: an API call, a landing page, a test, the demo. Every change
is an effect in the ledger. Refuses to know HTTP and JSON.
"""

from __future__ import annotations

import itertools
import random
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from portal.getscreen.simulator.ledger import Ledger

WAITING, JOINED, ACTIVE, CLOSED = 0, 1, 2, 3
SYSTEMS = ("win", "mac", "linux", "android")


class UnknownInvitation(LookupError):
    """No such invitation, or one that is closed already."""


class LimitReached(Exception):
    """The plan has no invitations left."""


class LinkUsed(Exception):
    """A one-time link was opened for the second time."""


@dataclass(slots=True)
class Row:
    """One invitation. Times are seconds since 1970."""

    id: int
    code: str
    turbo: str
    preview: str
    created_at: float
    changed_at: float
    client_name: str = ""
    client_os: str = ""
    status: int = WAITING
    external: bool = False
    has_left: bool = False

    @property
    def is_open(self) -> bool:
        return self.status != CLOSED

    @property
    def has_client(self) -> bool:
        return self.status in (JOINED, ACTIVE)


@dataclass(slots=True)
class Session:
    """One time the client and an operator were connected."""

    id: int
    row_id: int
    started_at: float
    stopped_at: float | None = None
    recorded: bool = False


@dataclass(slots=True)
class OneTimeLink:
    """What opens a client's desktop, once."""

    row_id: int
    token: str
    signature: str
    recorded: bool
    used: bool = False


class Account:
    """Thread-safe. The drive methods (`add`, `join`, …) stand for people elsewhere, not for API calls."""

    def __init__(
        self,
        *,
        public_url: str,
        remaining: int | None,
        clock: Callable[[], float],
        seed: int | None,
        first_id: int,
    ) -> None:
        self.public_url = public_url
        self.remaining = remaining
        self.ledger = Ledger()
        self._sessions: list[Session] = []
        self._clock = clock
        # Invented tokens need to be unlike each other, not unguessable: nothing real hangs on them.
        self._random = random.Random(seed)  # noqa: S311
        self._ids = itertools.count(first_id)
        self._rows: dict[int, Row] = {}
        self._links: dict[str, OneTimeLink] = {}
        self._lock = threading.RLock()

    def now(self) -> float:
        return self._clock()

    def rows(self) -> dict[int, Row]:
        """A copy of every invitation, closed ones too."""
        with self._lock:
            return {row.id: replace(row) for row in self._rows.values()}

    def open_rows(self) -> list[Row]:
        return [row for row in self.rows().values() if row.is_open]

    def row(self, id: int) -> Row:
        with self._lock:
            return replace(self._known(id))

    def history(self) -> list[Session]:
        """A copy of every session, the latest first."""
        with self._lock:
            return [replace(session) for session in reversed(self._sessions)]

    # Changes from elsewhere: the client, a colleague in the vendor's dashboard, the vendor.

    def add(
        self,
        client_name: str = "",
        status: int = WAITING,
        client_os: str = "",
        created_at: float | None = None,
        code: str | None = None,
    ) -> int:
        """An invitation made elsewhere. Costs nothing of the plan. Returns its id."""
        with self._lock:
            row = self._new_row(client_name, external=True, code=code, created_at=created_at)
            if status in (JOINED, ACTIVE):
                self.join(row.id, client_os or "win")
            if status == ACTIVE:
                self.activate(row.id)
            if status == CLOSED:
                self.close(row.id)
            return row.id

    def join(self, id: int, os: str = "win") -> None:
        with self._lock:
            row = self._open(id)
            row.client_os = os
            if row.status == WAITING:
                self._change(row, JOINED, "joined")

    def leave(self, id: int) -> None:
        with self._lock:
            row = self._open(id)
            row.client_os, row.has_left = "", True
            self._end_session(row)
            self._change(row, WAITING, "left")

    def activate(self, id: int, *, recorded: bool = False) -> None:
        """An operator is connected. The client joins first if it has not."""
        with self._lock:
            row = self._open(id)
            if row.status == ACTIVE:
                return
            self.join(id, row.client_os or "win")
            self._change(row, ACTIVE, "activated")
            self._sessions.append(Session(len(self._sessions) + 1, id, self.now(), None, recorded))

    def close(self, id: int) -> None:
        with self._lock:
            row = self._open(id)
            self._end_session(row)
            self._change(row, CLOSED, "closed")

    def rename(self, id: int, name: str) -> None:
        with self._lock:
            self._open(id).client_name = name
            self._note("renamed", id)

    def remove(self, id: int) -> None:
        """The vendor forgets the invitation: not even `info` knows it any more."""
        with self._lock:
            del self._rows[self._known(id).id]
            self._note("removed", id)

    # Changes by the API.

    def create(self, client_name: str) -> Row:
        with self._lock:
            if self.remaining is not None:
                if self.remaining <= 0:
                    raise LimitReached
                self.remaining -= 1
            row = self._new_row(client_name, external=False)
            self._note("created", row.id)
            return replace(row)

    def mint_link(self, id: int, *, recorded: bool = False) -> OneTimeLink:
        with self._lock:
            link = OneTimeLink(self._open(id).id, self._token(64), self._token(64), recorded)
            self._links[link.token] = link
            self.ledger.note_link(self.link_url(link))
            self._note("link_minted", id)
            return replace(link)

    def link_url(self, link: OneTimeLink) -> str:
        return f"{self.public_url}/?connect={link.row_id}&llt={link.token}&s={link.signature}"

    def turbo_url(self, row: Row) -> str:
        return f"{self.public_url}/turbo/{row.turbo}"

    # Changes by the landing pages.

    def use_link(self, token: str, signature: str) -> Row:
        """The operator opens a one-time link. Raises UnknownInvitation, LinkUsed."""
        with self._lock:
            link = self._links.get(token)
            if link is None or link.signature != signature:
                raise UnknownInvitation
            if link.used:
                self._note("link_reused", link.row_id)
                raise LinkUsed
            link.used = True
            self._note("link_used", link.row_id)
            self.activate(link.row_id, recorded=link.recorded)
            return self.row(link.row_id)

    def use_turbo(self, token: str) -> Row:
        """Whoever holds a `connect_url` is an operator, as often as they like."""
        with self._lock:
            row = self._find(lambda row: row.turbo == token)
            self._note("turbo_used", row.id)
            self.activate(row.id)
            return self.row(row.id)

    def by_code(self, code: str) -> Row:
        return self._find(lambda row: row.code == code)

    def by_preview(self, token: str) -> Row:
        return self._find(lambda row: row.preview == token and row.has_client)

    def _find(self, is_wanted: Callable[[Row], bool]) -> Row:
        for row in self.rows().values():
            if is_wanted(row):
                return row
        raise UnknownInvitation

    def _known(self, id: int) -> Row:
        try:
            return self._rows[id]
        except KeyError:
            raise UnknownInvitation from None

    def _open(self, id: int) -> Row:
        row = self._known(id)
        if not row.is_open:
            raise UnknownInvitation
        return row

    def _new_row(
        self, client_name: str, *, external: bool, code: str | None = None, created_at: float | None = None
    ) -> Row:
        created_at = self.now() if created_at is None else created_at
        row = Row(
            id=next(self._ids),
            code=code or "".join(self._random.choices(string.digits, k=9)),
            turbo=self._token(96),
            preview=self._token(96),
            created_at=created_at,
            changed_at=self.now(),
            client_name=client_name,
            external=external,
        )
        self._rows[row.id] = row
        self.ledger.note_turbo_link(self.turbo_url(row))
        return row

    def _change(self, row: Row, status: int, effect: str) -> None:
        row.status = status
        row.changed_at = self.now()
        self._note(effect, row.id)

    def _end_session(self, row: Row) -> None:
        for session in self._sessions:
            if session.row_id == row.id and session.stopped_at is None:
                session.stopped_at = self.now()

    def _note(self, kind: str, id: int | None, detail: str = "") -> None:
        self.ledger.note_effect(kind, id, self.now(), detail)

    def _token(self, length: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=length))
