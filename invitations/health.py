"""How much of what a page shows can be trusted, and what can be done meanwhile.

Judges the snapshot at one moment; nothing is stored, so every state heals as soon as the facts do.
Knows nothing of who looks, and of what is wrong no more than its kind: the words are in templates,
but for the reasons at disabled buttons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invitations.models import Snapshot

Trouble = Snapshot.Trouble
OURS = "ours"  # nobody here is asking: the portal's own fault, not the vendor's
NO_KEY = "no_key"

# While nobody looks the watcher asks every 15 s, so the first page after a pause is still live.
LIVE_FOR = 20  # seconds
# Longer than the longest pause (60 s) and a slow round together.
STOPPED_AFTER = 90  # seconds
SLOW_ROUND = 30  # seconds

# Kinds of trouble in which an action has no chance, with the reason shown at its button.
WHY_NOT: dict[str, str | Promise] = {
    Trouble.UNREACHABLE: _("Getscreen does not answer. Once it does, this works again."),
    Trouble.GARBLED: _("Getscreen’s answers cannot be understood. Once they can, this works again."),
    Trouble.KEY: _("Getscreen rejected the portal’s API key. An administrator must check GETSCREEN_API_KEY."),
    Trouble.ADDRESS: _("There is no Getscreen at the configured address. An administrator must check it."),
    NO_KEY: _("The portal has no Getscreen API key. An administrator must set GETSCREEN_API_KEY."),
}
NO_QUOTA = _("The plan has no sessions left. Its owner can renew or extend it.")


def health_of(snapshot: Snapshot, now: datetime) -> Health:
    """Judge the snapshot at `now` by this installation's settings."""
    late_after = max(LIVE_FOR, settings.POLL_SECONDS * 5)
    return Health(
        snapshot,
        now,
        late_after=late_after,
        stale_after=max(settings.STALE_SECONDS, late_after),
        stopped_after=max(STOPPED_AFTER, late_after, settings.IDLE_POLL_SECONDS + SLOW_ROUND),
    )


@dataclass(frozen=True)
class Health:
    """What is known about the last good list at one moment. All limits are seconds."""

    snapshot: Snapshot
    now: datetime
    late_after: int
    stale_after: int
    stopped_after: int

    @property
    def trouble(self) -> str:
        """Return what is wrong, in the order in which it has to be mended, or nothing."""
        if not settings.GETSCREEN_API_KEY:
            return NO_KEY
        return OURS if self.has_stopped_asking else self.snapshot.trouble

    @property
    def has_stopped_asking(self) -> bool:
        """Say whether no watcher has tried for too long, though nothing told it to pause."""
        # Before its first attempt a watcher leaves nothing but its lease.
        began = self.snapshot.attempted_at or self.snapshot.lease_until
        last = max(filter(None, (began, self.snapshot.pause_until)), default=None)
        return last is not None and (self.now - last).total_seconds() > self.stopped_after

    @property
    def age(self) -> float | None:
        """Seconds since the last good list; negative if our clock has been set back since."""
        return (self.now - self.snapshot.good_at).total_seconds() if self.snapshot.good_at else None

    @property
    def state(self) -> str:
        """Return "live", "late" (not what it should be) or "stale" (nothing to rely on)."""
        if self.age is None or self.age > self.stale_after:
            return "stale"
        # A time from the future says nothing about how old the list is.
        return "late" if self.trouble or abs(self.age) > self.late_after else "live"

    @property
    def marks(self) -> str:
        """Return the classes of what shows rows: no call to act, and marked as not current."""
        return {"live": "", "late": "is-old"}.get(self.state, "is-old is-stale")

    @property
    def facts(self) -> tuple[str, ...]:
        """All of it that a page shows beside the snapshot's revision, for polling tags.

        While the list is live its time is no part of them: the page learns it from a header.
        """
        return (self.state, self.trouble, "" if self.state == "live" else self.as_of)

    @property
    def good_at(self) -> datetime | None:
        return self.snapshot.good_at

    @property
    def as_of(self) -> str:
        """The time of the last good list in words, with its day unless that is today; empty if there was none."""
        if self.snapshot.good_at is None:
            return ""
        at, today = timezone.localtime(self.snapshot.good_at), timezone.localtime(self.now)
        return date_format(at, "H:i:s" if at.date() == today.date() else "j M, H:i:s")

    @property
    def since(self) -> datetime | None:
        return self.snapshot.trouble_since

    @property
    def remaining(self) -> int | None:
        return self.snapshot.remaining

    @property
    def quota_level(self) -> str:
        if self.trouble == Trouble.QUOTA or self.remaining == 0:
            return "out"
        if self.remaining is None:
            return "unknown"
        return "low" if self.remaining < 10 else "ok"

    @property
    def why_not(self) -> str:
        """Return why actions that need the vendor are not offered, or nothing.

        An old list alone forbids none of them: they ask afresh. A used-up plan forbids creating only.
        """
        return str(WHY_NOT.get(self.trouble, ""))

    @property
    def why_not_create(self) -> str:
        return self.why_not or (str(NO_QUOTA) if self.quota_level == "out" else "")

    @property
    def can_act(self) -> bool:
        return not self.why_not

    @property
    def can_create(self) -> bool:
        return not self.why_not_create
