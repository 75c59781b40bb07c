"""Counting what somebody may do so often in a time, the same for every thread, worker and replica.

A window of time begins with the first try after the last one has ended. The database's clock measures it, so that
replicas need not agree about the time, and one statement decides, so that two tries at once never share a place.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

from portal.accounts.models import Tally

OVER = datetime(2000, 1, 1, tzinfo=UTC)  # of a key that was never counted
KEY = "\x00"  # in place of a key: no key is that


class Limit(NamedTuple):
    """So many in so many seconds. The name stands in the audit log for ever."""

    name: str
    allowed: int
    seconds: int

    @property
    def facts(self) -> dict[str, str | int]:
        """What the event says that tells of reaching it."""
        return {"limit": self.name, "allowed": self.allowed, "seconds": self.seconds}


class Taken(NamedTuple):
    """Whether there was a place left. If not: in how many seconds there is one again, at least 1."""

    allowed: bool
    wait_seconds: int = 0


def take(key: str, limit: int, seconds: int) -> Taken:
    """Count one try under `key` unless `limit` of them were counted in the window that runs; a refused one is not.

    Part of the caller's transaction: rolled back, it was never counted.
    """
    if counted(key, limit, seconds):
        return Taken(True)
    # Either the key is new or its window is full; a row that another makes at this moment is waited for.
    Tally.objects.bulk_create([Tally(key=key, count=0, ends_at=OVER)], ignore_conflicts=True)
    if counted(key, limit, seconds):
        return Taken(True)
    return Taken(False, wait(key))


def counted(key: str, limit: int, seconds: int) -> bool:
    if limit <= 0:
        return False
    sql, params = statement(connection.vendor, limit, seconds)
    with connection.cursor() as cursor:
        cursor.execute(sql, [key if each == KEY else each for each in params])
        return bool(cursor.rowcount == 1)


@lru_cache(maxsize=64)
def statement(vendor: str, limit: int, seconds: int) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL that counts, for one kind of database, and its parameters with KEY for the key.

    Put together once: actions count while they hold the log's lock, and building it takes ten times what running does.
    """
    length = timedelta(seconds=seconds)
    # A window that ends later than one could was begun on a clock that has gone back since.
    is_over = Q(ends_at__lte=Now()) | Q(ends_at__gt=Now() + 2 * length)
    free = is_over | Q(count__lt=limit)
    changes = {
        "count": Case(When(is_over, then=Value(1)), default=F("count") + 1),
        "ends_at": Case(When(is_over, then=Now() + length), default=F("ends_at")),
    }
    query: Any = Tally.objects.filter(free, key=KEY).query.chain(UpdateQuery)
    query.add_update_values(changes)
    sql, params = query.get_compiler(connection=connection).as_sql()
    return sql, tuple(params)


def wait(key: str) -> int:
    """Return in how many seconds the window of `key` ends, at least 1."""
    left = Tally.objects.filter(key=key).values_list(F("ends_at") - Now(), flat=True).first()
    return max(1, math.ceil(left.total_seconds())) if left else 1


def give_back(key: str) -> None:
    """Undo one `take` that has turned out to be nothing, while its window runs."""
    Tally.objects.filter(key=key, count__gt=0, ends_at__gt=Now()).update(count=F("count") - 1)
