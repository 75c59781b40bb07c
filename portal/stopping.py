"""Whether this server is about to stop: one byte that the processes of one `serve` share.

Told before it happens, so that a proxy sends nobody here any more while those who are here are still answered.
"""

from __future__ import annotations

import mmap

LEAVING = 1  # still answers, and says on /readyz that it will not for long
ENDING = 2  # takes no new connection


class Stage:
    """How far the end has come. Without `share` it stays where it is."""

    def __init__(self) -> None:
        self.shared: mmap.mmap | None = None

    def share(self) -> None:
        """Begin anew, for this process and those that it forks from now on."""
        self.shared = mmap.mmap(-1, 1)

    def note(self, step: int) -> None:
        if self.shared is not None:
            self.shared[0] = max(self.shared[0], step)

    @property
    def is_leaving(self) -> bool:
        return self.shared is not None and self.shared[0] >= LEAVING

    @property
    def is_ending(self) -> bool:
        return self.shared is not None and self.shared[0] >= ENDING


stage = Stage()
