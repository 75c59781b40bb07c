"""One line on stdout per committed event: whoever collects the output holds an anchor seconds later.

Only `serve` and `watch` speak; commands whose output is read by people or programs stay silent.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal.audit.models import Event

_is_speaking = False


def speak() -> None:
    """Begin to print lines, in this process and those it forks."""
    global _is_speaking
    _is_speaking = True


def tell(event: Event) -> None:
    """Print the event's line, if this program does. Never raises: the event is committed already."""
    if not _is_speaking:
        return
    said = {"log": "audit", "seq": event.seq, "hash": event.hash, "kind": event.kind, "time": event.at.isoformat()}
    with suppress(OSError, ValueError):
        # In one write, so that lines of several processes never mix.
        os.write(sys.stdout.fileno(), (json.dumps(said) + "\n").encode())
