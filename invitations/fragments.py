"""What this process has rendered and may hand out again, because its key names all it depends on.

Knows nothing of what is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Kept[V]:
    """The values used last, by a key that changes whenever the value would."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._revision = 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        # One at a time: rendering is work for the processor, and those who wait mostly want the same.
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V], *, revision: int = 0) -> V:
        """Return the value for `key`, made now by the first who asks.

        revision: with a higher one than before, what was kept for earlier ones is dropped. Nobody asks for it again.
        """
        with self._lock:
            if revision > self._revision:
                self._revision = revision
                self._values.clear()
            if key not in self._values:
                self._values[key] = make()
            self._values.move_to_end(key)
            while len(self._values) > self.size:
                self._values.popitem(last=False)
            return self._values[key]

    def forget(self) -> None:
        """Drop everything: for tests, whose databases begin anew with the same revisions."""
        with self._lock:
            self._revision = 0
            self._values.clear()
