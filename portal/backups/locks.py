"""One at a time: who makes a backup, upgrades or restores, in whatever process and on whatever machine.

A lock ends with its process, however that ends. On PostgreSQL a transaction of its own holds it, which goes through
poolers as well; on SQLite a locked file beside the database.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection

from portal.audit.appending import is_in_memory

NUMBERS = {"backup": 7_203_912, "upgrade": 7_203_913}  # any constants beside the audit log's own


@contextmanager
def held(what: str, *, waits: bool = True, notice: Callable[[], Any] = lambda: None) -> Iterator[bool]:
    """Hold the lock `what` in the body; yield whether it is held: without `waits` another may have it.

    `notice` is called before waiting.
    """
    hold = on_server if connection.vendor == "postgresql" else beside_file
    with hold(what, waits, notice) as is_held:
        yield is_held


@contextmanager
def on_server(what: str, waits: bool, notice: Callable[[], Any]) -> Iterator[bool]:
    with closing(connection.copy()) as holder:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [NUMBERS[what]])
            (is_held,) = cursor.fetchone()
            if not is_held and waits:
                notice()
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NUMBERS[what]])
            yield bool(is_held or waits)


@contextmanager
def beside_file(what: str, waits: bool, notice: Callable[[], Any]) -> Iterator[bool]:
    if is_in_memory():
        yield True  # nobody else can come near it
        return
    descriptor = os.open(f"{connection.settings_dict['NAME']}.{what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock_file(descriptor, waits, notice)
    finally:
        os.close(descriptor)


def lock_file(descriptor: int, waits: bool, notice: Callable[[], Any]) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not waits:
            return False
        notice()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return True
