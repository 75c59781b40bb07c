"""The audit log: who did what, when, from where, and how it ended.

`record` appends one event as part of the caller's transaction, so it belongs last in it. An intent
is an event whose transaction the caller commits durably before a remote call. Nothing here can
change or remove an event.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction

if TYPE_CHECKING:
    from portal.audit.models import Event

__all__ = ["new_reference", "record", "writing"]


def new_reference() -> str:
    """Return a new operation id: 128 random bits as 32 hex digits, the same in intent and outcome."""
    return secrets.token_hex(16)


def record(kind: str, **facts: Any) -> Event:
    """Append one event; see `portal.audit.models.append` for the facts. Unknown kinds raise KeyError."""
    from portal.audit.models import append

    return append(kind, **facts)


@contextmanager
def writing(*, durable: bool = False) -> Iterator[None]:
    """Open a transaction that will record an event, and take the log's lock before anything else.

    Whoever writes rows and events together comes in here: with one lock first, two such transactions
    wait for each other instead of dying in a deadlock. On SQLite every transaction is like that.
    """
    from portal.audit.models import lock

    with transaction.atomic(durable=durable):
        lock()
        yield
