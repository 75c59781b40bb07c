"""The audit log: who did what, when, from where, and how it ended.

`record` appends one event as part of the caller's transaction, so it belongs last in it. An intent
is an event whose transaction the caller commits durably before a remote call. Nothing here can
change or remove an event. Where an event cannot be written, `Unavailable` is raised and whatever
wanted it must not happen.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, transaction

if TYPE_CHECKING:
    from portal.audit.models import Event

__all__ = ["Unavailable", "ensure_writable", "new_reference", "record", "record_anyway", "writing"]

logger = logging.getLogger(__name__)


class Unavailable(OperationalError):
    """The audit log cannot be written now, so nothing that needs it may happen."""


def new_reference() -> str:
    """Return a new operation id: 128 random bits as 32 hex digits, the same in intent and outcome."""
    return secrets.token_hex(16)


def record(kind: str, **facts: Any) -> Event:
    """Append one event; see `portal.audit.appending.append` for the facts. Unknown kinds raise KeyError."""
    from portal.audit.appending import append

    return append(kind, **facts)


def record_anyway(kind: str, **facts: Any) -> None:
    """Record what must happen even where the log cannot be written: a refusal, or the end of a session."""
    try:
        record(kind, **facts)
    except Unavailable:
        logger.error("An event (%s) could not be recorded: the audit log cannot be written", kind)


def ensure_writable() -> None:
    """Raise Unavailable unless an event could be written now: one is written and rolled back.

    For what is recorded only afterwards, such as a look or a mail, and for the readiness probe.
    """
    from portal.audit.appending import refuse_without_space

    refuse_without_space()
    with writing():
        record("system.started")
        transaction.set_rollback(True)


@contextmanager
def writing(*, durable: bool = False) -> Iterator[None]:
    """Open a transaction that will record an event, and take the log's lock before anything else.

    Whoever writes rows and events together comes in here: with one lock first, two such transactions
    wait for each other instead of dying in a deadlock. On SQLite every transaction is like that.
    Raises Unavailable if the database is busy for too long, full, or away.
    """
    from portal.audit.appending import turn

    try:
        with turn(durable=durable):
            yield
    except Unavailable:
        raise
    except OperationalError as error:
        raise Unavailable(str(error)) from error
