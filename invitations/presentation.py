"""What one person sees of one invitation: which buttons, which words. Shared by board and detail page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invitations.models import Entry, Invitation, Policy, Snapshot, Status
from portal.accounts.access import Access
from portal.accounts.models import User


def tag_of(*facts: object) -> str:
    """Return a polling tag: another one for other facts, and no secret."""
    return hashlib.blake2b("\x1f".join(map(str, facts)).encode(), digest_size=12).hexdigest()


WHY = {
    Status.WAITING: gettext_lazy("You can connect once the client has joined."),
    Status.UNKNOWN: gettext_lazy("Getscreen reports a state the portal does not know, so it does not connect."),
}


@dataclass(frozen=True)
class Row:
    """One invitation for one viewer."""

    invitation: Invitation
    user: User
    may: Access
    policy: Policy
    account: str
    can_act: bool

    @property
    def is_mine(self) -> bool:
        return self.invitation.is_owned_by(self.user)

    @property
    def is_other_account(self) -> bool:
        return bool(self.account) and self.invitation.account != self.account

    @property
    def connect(self) -> str:
        """Return "signal", "plain", "disabled" or "none": how the Connect button looks."""
        if not self.may.connect or not self.invitation.is_open:
            return "none"
        if self.why:
            return "disabled"
        is_waiting = self.invitation.status == Status.JOINED and not self.taken_by
        return "signal" if is_waiting else "plain"

    @property
    def why(self) -> str | Promise:
        """Return why one cannot connect now, or nothing."""
        if self.is_other_account:
            return _("This invitation belongs to an API key that is no longer in use.")
        if not self.can_act:
            return _("Getscreen cannot be reached or refuses the portal at the moment.")
        return WHY.get(Status(self.invitation.status), "")

    @property
    def may_rename(self) -> bool:
        return self.may_close

    @property
    def may_close(self) -> bool:
        allowed = self.may.manage_any or (self.may.manage_own and self.is_mine)
        return allowed and self.invitation.is_open and not self.is_other_account

    @property
    def can_copy(self) -> bool:
        return self.may.see_codes

    @property
    def thumb(self) -> str:
        """Return "shown", "click" or "off": how the desktop preview appears."""
        if not (self.may.see_codes and self.invitation.has_preview and self.invitation.is_open):
            return "off"
        return self.policy.previews

    @property
    def created_by(self) -> str:
        if self.invitation.is_external:
            return _("Outside the portal")
        return _("You") if self.is_mine else self.invitation.created_by_name

    @property
    def taken_by(self) -> str:
        """Return who connected last, while that still matters."""
        if self.invitation.status == Status.WAITING:
            return ""
        is_me = self.invitation.taken_by_id == self.user.pk and self.invitation.taken_by_id is not None
        return _("You") if is_me else self.invitation.taken_by_name


def health_of(snapshot: Snapshot, now: datetime, *, poll_seconds: int) -> Health:
    """Judge the snapshot at `now`. A list counts as old after five intervals, at least 15 s."""
    return Health(snapshot, now, max(15, poll_seconds * 5))


@dataclass(frozen=True)
class Health:
    """How much of what the page shows can be trusted, and what can be done meanwhile."""

    snapshot: Snapshot
    now: datetime
    stale_after: int  # seconds

    DOWN_AFTER = 300  # seconds
    STOPPED_AFTER = 45  # longer than the slowest round
    OURS = "ours"  # nobody here is asking: the portal's own fault, not the vendor's
    NO_KEY = "no_key"

    @property
    def trouble(self) -> str:
        """Return what is wrong, in the order in which it has to be mended, or nothing."""
        if not settings.GETSCREEN_API_KEY:
            return self.NO_KEY
        if self.has_stopped_asking:
            return self.OURS
        return self.snapshot.trouble or (Snapshot.Trouble.UNREACHABLE if self.is_old else "")

    @property
    def has_stopped_asking(self) -> bool:
        """Say whether no watcher has tried for too long, though nothing told it to pause."""
        last = max(filter(None, (self.snapshot.attempted_at, self.snapshot.pause_until)), default=None)
        return last is not None and (self.now - last).total_seconds() > max(self.STOPPED_AFTER, self.stale_after)

    @property
    def age(self) -> float | None:
        """Seconds since the last good list."""
        return (self.now - self.snapshot.good_at).total_seconds() if self.snapshot.good_at else None

    @property
    def is_old(self) -> bool:
        return self.age is not None and self.age > self.stale_after

    @property
    def state(self) -> str:
        if not self.trouble:
            return "live"
        return "down" if self.age is None or self.age > self.DOWN_AFTER else "stale"

    @property
    def good_at(self) -> datetime | None:
        return self.snapshot.good_at

    @property
    def since(self) -> datetime | None:
        return self.snapshot.trouble_since

    @property
    def remaining(self) -> int | None:
        return self.snapshot.remaining

    @property
    def quota_level(self) -> str:
        if self.trouble == Snapshot.Trouble.QUOTA or self.remaining == 0:
            return "out"
        if self.remaining is None:
            return "unknown"
        return "low" if self.remaining < 10 else "ok"

    @property
    def can_create(self) -> bool:
        return self.can_act and self.quota_level != "out"

    @property
    def can_act(self) -> bool:
        """Say whether actions have a chance. An old list alone does not forbid them: they ask afresh."""
        return self.trouble not in (Snapshot.Trouble.KEY, Snapshot.Trouble.ADDRESS, self.NO_KEY)


@dataclass(frozen=True)
class Line:
    """One line of the timeline."""

    at: datetime | None
    kind: str
    title: str
    detail: str
    mark: str = ""
    gap: str = ""
    is_pending: bool = False


MARKS = {Entry.Kind.JOINED: "signal", Entry.Kind.CONNECTED: "ok", Entry.Kind.ACTIVE: "ok"}


def timeline(invitation: Invitation) -> list[Line]:
    """Return what happened, oldest first, and the steps that are still to come."""
    lines: list[Line] = []
    before: datetime | None = None
    for entry in invitation.entries.all():
        lines.append(line_of(entry, before))
        before = entry.at
    return lines + pending(invitation)


def line_of(entry: Entry, before: datetime | None) -> Line:
    kind = Entry.Kind(entry.kind)
    title = str(kind.label)
    if entry.actor_name:
        title = _("%(what)s by %(who)s") % {"what": kind.label, "who": entry.actor_name}
    return Line(entry.at, kind, title, detail_of(entry), MARKS.get(kind, ""), gap(before, entry.at))


def detail_of(entry: Entry) -> str:
    if entry.precision is not None:
        return _("First seen by the portal, up to %(seconds)s s after it happened") % {"seconds": entry.precision}
    if entry.kind == Entry.Kind.CREATED and entry.detail:
        return _("With ticket %(ticket)s") % {"ticket": entry.detail}
    return entry.detail


def gap(before: datetime | None, after: datetime) -> str:
    """Return the time between two lines in words, if it is worth saying."""
    if before is None:
        return ""
    seconds = int((after - before).total_seconds())
    if seconds < 10:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    return _("%(seconds)s s") % {"seconds": rest}


def pending(invitation: Invitation) -> list[Line]:
    if not invitation.is_open:
        return []
    steps: list[tuple[str, str, str]] = []
    if invitation.status == Status.WAITING:
        steps.append(("joined", _("Client joins"), _("When the client has entered the code")))
    if invitation.status in (Status.WAITING, Status.JOINED):
        steps.append(("connected", _("Connect"), _("Opens the client's desktop in a new tab")))
    steps.append(("closed", _("Close"), _("When the work is done")))
    return [Line(None, kind, title, detail, is_pending=True) for kind, title, detail in steps]
