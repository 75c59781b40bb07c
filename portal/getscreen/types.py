"""The records that cross the border, with the vendor's fields renamed to ours.

Times are seconds since 1970 in UTC. `connect_url` has no field here on purpose: it is a bearer
secret in every answer, so the parser drops it. Link-like secrets have a masked `repr`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn


class Status(IntEnum):
    """Where an invitation stands, with the vendor's numbers. UNKNOWN is ours, for a number we do not know."""

    WAITING = 0
    JOINED = 1
    ACTIVE = 2
    CLOSED = 3
    UNKNOWN = -1


class Secret:
    """A text that never shows itself: text, comparison, copying into a dict and pickling all miss it."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        return self._reveal()

    def __str__(self) -> str:
        return "********"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes(), other._bytes())

    def _bytes(self) -> bytes:
        return self.reveal().encode(errors="surrogateescape")

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret cannot be pickled.")


@dataclass(frozen=True, slots=True)
class RemoteInvitation:
    """One invitation as the vendor knows it."""

    id: int
    status: Status
    raw_status: str  # what the vendor sent, at most 20 characters, for "Unknown (7)"
    created_at: int | None  # unix seconds, None if missing or absurd
    code: str
    invite_url: str  # normalised and checked against the allow-list, "" if not trusted
    client_name: str
    client_os: str  # "win", "mac", "linux", "android", "" before the client joins, "unknown" for others
    preview_url: Secret  # of a picture of the client's desktop, checked, empty if there is none


@dataclass(frozen=True, slots=True)
class Listing:
    """The answer of `support/list`: every open invitation."""

    invitations: tuple[RemoteInvitation, ...]
    remaining: int | None  # invitations left in the plan, None if unknown
    dropped: int  # rows left out because they had no usable id
    served_at: int | None  # the vendor's clock (`Date` header, unix seconds), None if missing


@dataclass(frozen=True, slots=True)
class ConnectLink:
    """A single-use link into a customer's desktop. `reveal()` belongs in one `Location` header."""

    url: Secret
    host: str  # safe to record

    def reveal(self) -> str:
        return self.url.reveal()


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview of the client's desktop."""

    content_type: str  # "image/png", "image/jpeg" or "image/webp", by its first bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator side of a recorded session."""

    login: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Session:
    """One session from the vendor's history. Times are unix seconds."""

    id: int
    invitation_id: int | None
    started_at: int | None
    stopped_at: int | None
    operators: tuple[Operator, ...]
    has_recording: bool


@dataclass(frozen=True, slots=True)
class History:
    """One page of `history/list`."""

    sessions: tuple[Session, ...]
    total: int
    offset: int
