"""What this process has rendered and may hand out again, because its key names all it depends on.

Knows nothing of what is kept.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

REST = 8  # after a value was made, so many times what that took passes until it is made anew for those who can wait
LONGEST_REST = 1.0  # seconds
SLOWEST = 60.0  # seconds that may lie between reading a revision and asking as of it


class Version[V](NamedTuple):
    """A value as of a revision, and until when and `while_same` it will do for those who can wait.

    Where another thread makes a newer one it will do for longer, until it is `too_old_at`. Times are monotonic.
    """

    value: V
    revision: int
    good_until: float
    too_old_at: float
    while_same: Hashable


class Kept[V]:
    """The values used last, the newest version of each."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._versions: OrderedDict[Hashable, Version[V]] = OrderedDict()
        # One at a time: rendering is work for the processor, and those who wait mostly want the same.
        self._lock = threading.Lock()

    def get(
        self,
        key: Hashable,
        make: Callable[[], V],
        *,
        revision: int = 0,
        at_least: int | None = None,
        while_same: Hashable = None,
    ) -> Version[V]:
        """Return the value for `key` as of `revision` or later, made now by the first who asks.

        at_least: the earlier revision that will do where changes come in a row, each of which would have to be
            rendered for everybody. It is at most LONGEST_REST old, and made with the same `while_same`.
        """
        if not self._lock.acquire(blocking=False):
            # Somebody renders. Who can wait takes what is there, and leaves their thread to others.
            found = self._versions.get(key)
            if found is not None and time.monotonic() < found.too_old_at and is_enough(found, at_least, while_same):
                return found
            self._lock.acquire()
        try:
            return self._newest(key, make, revision, at_least, while_same)
        finally:
            self._lock.release()

    def _newest(
        self, key: Hashable, make: Callable[[], V], revision: int, at_least: int | None, while_same: Hashable
    ) -> Version[V]:
        found = self._versions.get(key)
        if found is None or not will_do(found, revision, at_least, while_same):
            self._drop_before(revision)
            began = time.monotonic()
            value, ended = make(), time.monotonic()
            rest = min(REST * (ended - began), LONGEST_REST)
            found = Version(value, revision, ended + rest, ended + LONGEST_REST, while_same)
            self._versions[key] = found
        self._versions.move_to_end(key)
        while len(self._versions) > self.size:
            self._versions.popitem(last=False)
        return found

    def _drop_before(self, revision: int) -> None:
        """Drop what belongs to earlier revisions and is too old for everybody."""
        now = time.monotonic()
        if revision:
            over = [key for key, one in self._versions.items() if one.revision < revision and one.too_old_at <= now]
            for key in over:
                del self._versions[key]

    def forget(self) -> None:
        """Drop everything: for tests, whose databases begin anew with the same revisions."""
        with self._lock:
            self._versions.clear()


def will_do[V](version: Version[V], revision: int, at_least: int | None, while_same: Hashable) -> bool:
    """Say whether a version serves somebody who asks as of `revision`: see `Kept.get`.

    A later one does as well: they have read the revision a moment ago. Where it stays later, the database has gone
    back, as one that is failed over to may have, and the version is of what is no more.
    """
    now = time.monotonic()
    if version.revision >= revision:
        return version.revision == revision or now < version.good_until + SLOWEST
    return now < version.good_until and is_enough(version, at_least, while_same)


def is_enough(version: Version[Any], at_least: int | None, while_same: Hashable) -> bool:
    """Say whether an earlier version serves somebody who can wait for another moment."""
    return at_least is not None and version.revision >= at_least and version.while_same == while_same
