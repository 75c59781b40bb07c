"""What really happened at the vendor: every request, every effect, every link handed out.

Responsible for being the oracle of tests, so it is thread-safe, complete and in order. Refuses to know
how requests are answered, and never keeps the value of a secret header.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

SECRET_HEADERS = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})
SECRET_PARAMETERS = frozenset({"apikey", "api_key"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. Header names are lower case, secret values read `present`."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that changed or must be noticed, such as `created`, `link_minted` or `key_leaked`."""

    kind: str
    id: int | None
    at: float
    detail: str = ""


class Ledger:
    """Append-only. Each reader gets a copy, so a test may look while other threads write.

    keep: how many of the latest entries of each sort are kept; None for all.
    """

    def __init__(self, keep: int | None = None) -> None:
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=keep)
        self._effects: deque[Effect] = deque(maxlen=keep)
        self._links: deque[str] = deque(maxlen=keep)
        self._turbo_links: deque[str] = deque(maxlen=keep)

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._lock:
            return tuple(self._requests)

    @property
    def effects(self) -> tuple[Effect, ...]:
        with self._lock:
            return tuple(self._effects)

    @property
    def links(self) -> tuple[str, ...]:
        """Every one-time link minted, without the documentation's slips."""
        with self._lock:
            return tuple(self._links)

    @property
    def turbo_links(self) -> tuple[str, ...]:
        """Every bearer `connect_url`, without the documentation's slips."""
        with self._lock:
            return tuple(self._turbo_links)

    def find(self, path: str) -> tuple[Request, ...]:
        """The requests to `path`, given whole (`/v1/support/list`) or by its end (`support/list`)."""
        return tuple(found for found in self.requests if found.path.endswith(path))

    def count(self, kind: str, id: int | None = None) -> int:
        """How many effects of this kind there were, for one invitation if `id` is given."""
        return sum(effect.kind == kind and id in (None, effect.id) for effect in self.effects)

    def note_request(
        self,
        *,
        operation: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        at: float,
    ) -> None:
        request = Request(
            operation,
            method,
            path,
            _masked(query, SECRET_PARAMETERS),
            _masked(headers, SECRET_HEADERS),
            body,
            at,
        )
        with self._lock:
            self._requests.append(request)

    def note_effect(self, kind: str, id: int | None, at: float, detail: str = "") -> None:
        with self._lock:
            self._effects.append(Effect(kind, id, at, detail))

    def note_link(self, link: str) -> None:
        with self._lock:
            self._links.append(link)

    def note_turbo_link(self, link: str) -> None:
        with self._lock:
            self._turbo_links.append(link)


def _masked(values: Mapping[str, str], secret: frozenset[str]) -> dict[str, str]:
    return {name: "present" if name.lower() in secret else value for name, value in values.items()}
