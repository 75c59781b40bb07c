"""What tests of the watcher share: what it wrote, the calls it made, and time that passes."""

from __future__ import annotations

from datetime import timedelta

from invitations.models import Snapshot
from invitations.watcher import Watcher


def kinds(invitation) -> list[str]:
    return [entry.kind for entry in invitation.entries.all()]


def lists(vendor) -> int:
    return len(vendor.ledger.find("/v1/support/list"))


def pass_time(seconds: float) -> None:
    """Let everything in the database have happened so much earlier."""
    snapshot = Snapshot.load()
    for name in ("attempted_at", "good_at", "watched_at", "pause_until", "lease_until"):
        value = getattr(snapshot, name)
        setattr(snapshot, name, value and value - timedelta(seconds=seconds))
    snapshot.save()


def tick(watcher: Watcher) -> None:
    """A tick after some time as far as the watcher's own memory goes; what it decides comes from the database."""
    watcher.not_before = 0
    watcher.tick()
