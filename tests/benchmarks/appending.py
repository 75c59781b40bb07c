"""One writer of the audit log as a program, and the check of what several have left: both for `audit_append`.

`write COUNT` says that it is ready, waits for a line on its input, appends, and prints what it was told
and how long each took. `check` reads what all were told and prints what is wrong with the log.
"""

from __future__ import annotations

import json
import sys
import time

import django

django.setup()

from portal import audit  # noqa: E402
from portal.accounts.models import User  # noqa: E402
from portal.audit import anchors, checkpoints, keys, origin  # noqa: E402
from portal.audit.kinds import Phase  # noqa: E402
from portal.audit.models import Event  # noqa: E402
from portal.audit.verification import Verification  # noqa: E402

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def intend(by: User, number: int) -> Event:
    """Append what an intent to connect says."""
    with audit.writing(durable=True):
        return audit.record(
            "invitation.connect",
            phase=Phase.INTENT,
            reference=audit.new_reference(),
            actor=by,
            target_type="invitation",
            target_id=f"public-id-of-number-{number % 50}",
            target_label=f"Client number {number % 50}",
            details={"ticket": f"HD-{number}", "code": "…417", "note": "The printer on the second floor is mute."},
            facts={"recorded": False},
            up={"key": "0123456789abcdef"},
        )


def write(count: int) -> None:
    origin._current.set(
        origin.Origin(ip="192.0.2.17", user_agent=BROWSER, auth_method="password", session="5" * 16, is_request=True)
    )
    by = User.objects.get(username="agent")
    events: list[tuple[int, str]] = []
    waits: list[float] = []
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    began = at = time.time()
    for number in range(count):
        event = intend(by, number)
        events.append((event.seq, event.hash))
        waits.append((now := time.time()) - at)
        at = now
    print(json.dumps({"began": began, "ended": at, "waits": waits, "events": events}))  # noqa: T201


def check(told: list[list[tuple[int, str]]]) -> list[str]:
    """Return what is wrong."""
    stored = dict(Event.objects.values_list("seq", "hash"))
    problems = [f"{seq} is lost" for events in told for seq, event_hash in events if stored.get(seq) != event_hash]
    problems += [f"{events[0][0]} is out of order" for events in told if events != sorted(events)]
    if sorted(stored) != list(range(1, len(stored) + 1)):
        problems.append("there is a gap")
    checkpoints.seal()
    report = Verification(anchors.read([checkpoints.settings.AUDIT_CHECKPOINT_DIR]), [keys.current().public]).run()
    return problems + ([] if report.state == "intact" else report.sentences)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(int(sys.argv[2]))
    else:
        print(json.dumps(check(json.load(sys.stdin))))  # noqa: T201
