"""One process that looks at one long audit log: prints its pages' names, then reads a name and prints the time.

What it asks for is chosen from the middle of the log, where it is as long in every direction.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client as Window  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from invitations import static_files  # noqa: E402
from portal.accounts.models import User  # noqa: E402
from portal.audit.models import Detail, Event  # noqa: E402

NOTHING = "f" * 32
Query = dict[str, Any]


def pages() -> dict[str, tuple[str, Query]]:
    """Return name → who looks, and at what."""
    newest = Event.objects.order_by("-seq").values_list("seq", flat=True)[0]
    middle = Event.objects.filter(seq__gte=newest // 2, kind="invitation.close", phase="outcome").order_by("seq")[0]
    detail, day = Detail.objects.get(seq=middle.seq), timezone.localtime(middle.at).date()
    before = f"{middle.ts}-{middle.seq}"
    found: dict[str, Query] = {
        "no filter": {},
        "no filter, deep": {"before": before},
        "no filter, newer from deep": {"after": before},
        "from": {"from": day},
        "to": {"to": day},
        "from and to, one day": {"from": day, "to": day},
        "from, nothing": {"from": day + timedelta(days=36_500)},
        "who": {"who": "user:3"},
        "who, deep": {"who": "user:3", "before": before},
        "who: the portal": {"who": "portal"},
        "who: not signed in": {"who": "stranger"},
        "action, frequent": {"kind": "invitation.connect"},
        "action, frequent, deep": {"kind": "invitation.connect", "before": before},
        "action, nothing": {"kind": "system.clock"},
        "outcome, frequent": {"result": "ok"},
        "outcome, rare": {"result": "denied"},
        "outcome, rare, deep": {"result": "denied", "before": before},
        "invitation": {"invitation": middle.target_id},
        "invitation, nothing": {"invitation": "nothing"},
        "ticket": {"ticket": detail.ticket},
        "ticket, nothing": {"ticket": "nothing"},
        "network": {"network": middle.network},
        "network, deep": {"network": middle.network, "before": before},
        "network, nothing": {"network": "192.0.2.1"},
        "reference": {"reference": middle.reference},
        "reference, nothing": {"reference": NOTHING},
        "action and outcome": {"kind": "invitation.connect", "result": "ok"},
        "action and outcome, never together": {"kind": "signout", "result": "denied"},
        "who, action, outcome, network": {
            "who": "user:3", "kind": "signin.ok", "result": "ok", "network": middle.network,
        },
        "who and dates": {"who": "user:3", "to": day},
        "invitation and action": {"invitation": middle.target_id, "kind": "invitation.close"},
        "ticket and who": {"ticket": detail.ticket, "who": middle.actor},
    }  # fmt: skip
    chosen: dict[str, tuple[str, Query]] = {name: ("person-1", query) for name, query in found.items()}
    chosen["an agent’s own"] = ("person-3", {})
    chosen["an agent’s own, action"] = ("person-3", {"kind": "invitation.connect"})
    chosen["an agent’s own, outcome never there"] = ("person-3", {"kind": "signout", "result": "denied"})
    chosen["one event"] = ("person-1", {"event": middle.seq})
    return chosen


class Seat:
    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}

    def window(self, name: str) -> Window:
        if name not in self.windows:
            self.windows[name] = Window(SERVER_NAME="127.0.0.1")
            self.windows[name].force_login(User.objects.get(username=name))
        return self.windows[name]

    def look(self, name: str, query: Query) -> dict[str, Any]:
        window, rest = self.window(name), dict(query)
        path = f"/audit/{rest.pop('event')}/" if "event" in rest else "/audit/"
        gc.collect()
        began = time.perf_counter()
        answer = window.get(path, rest)
        seconds = time.perf_counter() - began
        if answer.status_code != 200:
            raise RuntimeError(f"{query} answered {answer.status_code}")
        return {"seconds": seconds, "events": answer.content.count(b'class="alt end"')}


def main() -> None:
    logging.disable(logging.WARNING)
    static_files.ensure_collected()
    chosen, seat = pages(), Seat()
    print(json.dumps(list(chosen)), flush=True)  # noqa: T201
    queries: dict[str, int] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in queries:
            with CaptureQueriesContext(connection) as counted:
                sample = seat.look(*chosen[name])
            queries[name] = len(counted)
        else:
            sample = seat.look(*chosen[name])
        print(json.dumps(sample | {"queries": queries[name]}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
