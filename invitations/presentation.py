"""What one person sees of one invitation: which buttons, which words. Shared by board and detail page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invitations import assignment, links, long_sessions, phrases, unsettled, urgency
from invitations.messages import mask
from invitations.models import Delivery, Entry, Invitation, Policy, Status
from portal.accounts.access import Access
from portal.accounts.models import User


def tag_of(*facts: object) -> str:
    """Return a polling tag: another one for other facts, and no secret."""
    return hashlib.blake2b("\x1f".join(map(str, facts)).encode(), digest_size=12).hexdigest()


def time_of(at: datetime | None) -> str:
    """Return the time of day, with the day if that is not today."""
    if at is None:
        return ""
    local, now = timezone.localtime(at), timezone.localtime()
    return date_format(local, "H:i" if local.date() == now.date() else "j M, H:i")


WHY = {
    Status.WAITING: gettext_lazy("You can connect once the client has joined."),
    Status.UNKNOWN: gettext_lazy("Getscreen reports a state the portal does not know, so it does not connect."),
}


# Every column but the note, which no list shows.
SHOWN = [field.attname for field in Invitation._meta.concrete_fields if field.attname != "note"]


@dataclass(frozen=True)
class Row:
    """One invitation as somebody with these rights sees it.

    Without a `viewer` it is the same for everybody who has them: what belongs to one person is then
    chosen when the page is completed (`for_person` in templates).
    """

    invitation: Invitation
    may: Access
    policy: Policy
    account: str
    why_not: str | Promise  # why nothing can be done at the vendor now, or nothing
    viewer: User | None = None
    team: str = ""  # its name, where there is more than one

    @property
    def facts(self) -> tuple[object, ...]:
        """All that decides how the row looks to people with the same rights, under one policy."""
        values = vars(self.invitation)
        by_time = (self.invitation.is_late, self.is_urgent, self.is_connecting)
        later = (self.invitation.is_expiring, self.is_long)
        about = (self.account, str(self.why_not), self.team, self.is_private)
        return (*map(values.get, SHOWN), *by_time, *later, *about)

    @property
    def is_urgent(self) -> bool:
        """Say whether somebody waits too long and nobody is with them."""
        return not self.is_other_account and urgency.is_urgent(self.invitation, self.policy, timezone.now())

    @property
    def is_mine(self) -> bool:
        return self.viewer is not None and self.invitation.is_owned_by(self.viewer)

    @property
    def is_private(self) -> bool:
        return self.invitation.is_private and self.policy.is_private_allowed

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
        return "signal" if is_waiting or (self.is_taken_by_viewer and self.calls_holder) else "plain"

    @property
    def why(self) -> str | Promise:
        """Return why one cannot connect now, or nothing."""
        if self.is_other_account:
            return _("This invitation belongs to an API key that is no longer in use.")
        return self.why_not or WHY.get(Status(self.invitation.status), "")

    @property
    def is_manageable(self) -> bool:
        """Say whether it can be renamed and closed by whoever has the right to."""
        return self.invitation.is_open and not self.is_other_account

    @property
    def may_manage(self) -> bool:
        return self.is_manageable and (self.may.manage_any or (self.may.manage_own and self.is_mine))

    @property
    def may_manage_if_own(self) -> bool:
        """Say whether only its owner among those who share this row may rename and close it."""
        return self.is_manageable and self.may.manage_own and not self.may.manage_any

    @property
    def may_extend(self) -> bool:
        """Say whether the viewer may put off its end, as `expiry.may_extend` does."""
        return self.is_manageable and (self.may_manage or self.is_taken_by_viewer)

    @property
    def valid_until(self) -> str:
        return day_and_time(self.invitation.expires_at)

    @property
    def is_long(self) -> bool:
        """Say whether its session has lasted so long that somebody is asked about it."""
        return long_sessions.is_asked(self.invitation, self.policy)

    @property
    def may_taker_close(self) -> bool:
        """Say whether whoever has taken the client may close the invitation as well."""
        owner = self.invitation.created_by_id
        is_own = owner is not None and owner == self.invitation.taken_by_id
        return self.is_manageable and not self.why_not and (self.may.manage_any or (self.may.manage_own and is_own))

    @property
    def can_copy(self) -> bool:
        return self.may.see_codes

    @property
    def client_link(self) -> str:
        """Return the link to send to the client."""
        return links.client_link(self.invitation, self.policy)

    @property
    def phrase(self) -> str:
        """Return the check phrase as English pages of the client say it, where one can see it at all."""
        is_shown = self.can_copy and self.invitation.is_open and not self.invitation.is_external
        return phrases.words_of(self.invitation.phrase, "en") if is_shown else ""

    @property
    def german_phrase(self) -> str:
        return phrases.words_of(self.invitation.phrase, "de") if self.phrase else ""

    @property
    def thumb(self) -> str:
        """Return "shown", "click", "blocked" or "off": how the desktop preview appears."""
        if not (self.may.see_codes and self.invitation.has_preview and self.invitation.is_open):
            return "off"
        return "blocked" if self.why_not and self.policy.previews != Policy.Previews.OFF else self.policy.previews

    @property
    def created_by(self) -> str:
        return _("Outside the portal") if self.invitation.is_external else self.invitation.created_by_name

    @property
    def taken_by(self) -> str:
        """Return who has the client: whoever claimed or connected last, until the client leaves."""
        return self.invitation.taken_by_name

    @property
    def taken_since(self) -> str:
        return time_of(self.invitation.taken_at)

    @property
    def is_connecting(self) -> bool:
        return assignment.is_connecting(self.invitation)

    @property
    def calls_holder(self) -> bool:
        """Say whether the client waits for the one who has them: signal for that person, quiet for the others."""
        return assignment.calls_holder(self.invitation) and not self.is_connecting and not self.is_other_account

    @property
    def may_claim(self) -> bool:
        return self.may.connect and self.is_manageable

    @property
    def may_give(self) -> bool:
        """Say whether a client whom nobody has can be handed over, and whom somebody has by that person."""
        return (self.may.connect or self.may.manage_any) and self.is_manageable

    @property
    def is_taken_by_viewer(self) -> bool:
        return self.viewer is not None and self.invitation.taken_by_id == self.viewer.pk

    @property
    def is_taken_by_other(self) -> bool:
        return bool(self.taken_by) and not self.is_taken_by_viewer

    @property
    def is_untaken_by_viewer(self) -> bool:
        """Say whether there is something to take: also of what one was given and has not taken up yet."""
        return not self.is_taken_by_viewer or self.invitation.taken_at is None

    @property
    def may_give_now(self) -> bool:
        return self.may_give_any if self.is_taken_by_other else self.may_give

    @property
    def may_give_any(self) -> bool:
        return self.may.manage_any and self.is_manageable


def day_and_time(at: datetime | None) -> str:
    """Return a time to come as people say it: the time alone today, "tomorrow, 10:42", or with its day."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    days = local.date() - timezone.localdate()
    clock = date_format(local, "H:i")
    if not days:
        return clock
    if days == timedelta(days=1):
        return _("tomorrow, %(time)s") % {"time": clock}
    return date_format(local, "D j M, H:i")


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
    again: int = 0  # the line of a mail that may be sent once more

    @property
    def icon(self) -> str:
        return ICONS.get(self.kind, "info")


HELD = {
    Entry.Kind.TAKEN_OVER: gettext_lazy("From %(name)s"),
    Entry.Kind.HANDED_OVER: gettext_lazy("To %(name)s"),
    Entry.Kind.RELEASED: gettext_lazy("%(name)s had taken it"),
    Entry.Kind.RETURNED: gettext_lazy("%(name)s was not there"),
}
ICONS = {
    Entry.Kind.CREATED: "plus",
    Entry.Kind.JOINED: "joined",
    Entry.Kind.LEFT: "waiting",
    Entry.Kind.CONNECTED: "session",
    Entry.Kind.ACTIVE: "session",
    Entry.Kind.CLOSED: "closed",
    Entry.Kind.CLOSED_OUTSIDE: "closed",
    Entry.Kind.EXPIRED: "closed",
    Entry.Kind.RENAMED: "pencil",
    Entry.Kind.NOTED: "note",
    Entry.Kind.CLAIMED: "hand",
    Entry.Kind.TAKEN_OVER: "hand",
    Entry.Kind.HANDED_OVER: "hand",
    Entry.Kind.RELEASED: "undo",
    Entry.Kind.RETURNED: "undo",
    Entry.Kind.SHARED: "mail",
    Entry.Kind.NOT_SENT: "warning",
    Entry.Kind.CONTINUED: "phone",
    Entry.Kind.EXTENDED: "clock",
    Entry.Kind.STILL: "check",
    Entry.Kind.ESCALATED: "bell",
    "unsettled": "unknown",
}
MARKS = {
    Entry.Kind.JOINED: "signal",
    Entry.Kind.ESCALATED: "signal",
    Entry.Kind.CONNECTED: "ok",
    Entry.Kind.ACTIVE: "ok",
}


def timeline(invitation: Invitation, *, may_see_addresses: bool = False) -> list[Line]:
    """Return what happened, oldest first, and the steps that are still to come."""
    lines: list[Line] = []
    before: datetime | None = None
    mails = mails_of(invitation)
    for entry in invitation.entries.all():
        if entry.kind == Entry.Kind.SHARED:
            lines.append(line_of_mail(entry, mails.get(entry.at), before, may_see_addresses=may_see_addresses))
        else:
            lines.append(line_of(entry, before))
        before = entry.at
    lines += [line_of_unsettled(line) for line in unsettled.of(invitation)]
    return sorted(lines, key=lambda line: line.at or datetime.max) + pending(invitation)


def line_of_unsettled(line: unsettled.Line) -> Line:
    title = _("Not known whether it happened: %(what)s") % {"what": line.what}
    if line.by:
        title = _("%(what)s by %(who)s") % {"what": title, "who": line.by}
    reference = _("Reference: %(reference)s") % {"reference": line.reference}
    return Line(line.at, "unsettled", title, f"{line.meaning} {line.next} {reference}")


def line_of(entry: Entry, before: datetime | None) -> Line:
    kind = Entry.Kind(entry.kind)
    title = str(kind.label)
    if entry.actor_name:
        title = _("%(what)s by %(who)s") % {"what": kind.label, "who": entry.actor_name}
    if entry.actor_name and kind == Entry.Kind.CONTINUED:
        title = _("Join page tried out by %(who)s") % {"who": entry.actor_name}
    return Line(entry.at, kind, title, detail_of(entry), MARKS.get(kind, ""), gap(before, entry.at))


def mails_of(invitation: Invitation) -> dict[datetime, Delivery]:
    """Return the mails to the client, each by its moment, which its line of the timeline shares."""
    return {mail.ordered_at: mail for mail in invitation.deliveries.filter(kind=Delivery.Kind.MAIL)}


def line_of_mail(entry: Entry, mail: Delivery | None, before: datetime | None, *, may_see_addresses: bool) -> Line:
    """Say to whom a mail was ordered, and how that went."""
    to = entry.detail if may_see_addresses else mask(entry.detail)
    detail = f"{_('By e-mail to %(address)s.') % {'address': to}} {outcome_of(mail)}".strip()
    has_failed = mail is not None and mail.state == Delivery.State.FAILED
    again = entry.pk if has_failed and may_see_addresses and entry.invitation.is_open else 0
    return replace(line_of(entry, before), detail=detail, again=again)


def outcome_of(mail: Delivery | None) -> str:
    """Return how a mail went, in a sentence."""
    if mail is None:
        return ""
    at = timezone.localtime(mail.ended_at).strftime("%H:%M:%S") if mail.ended_at else ""
    if mail.state == Delivery.State.SENT:
        return _("Handed to the mail server at %(time)s.") % {"time": at}
    if mail.state == Delivery.State.FAILED:
        return _("Could not be delivered, given up at %(time)s. %(trouble)s") % {"time": at, "trouble": mail.trouble}
    if mail.state == Delivery.State.CANCELLED:
        return _("Not sent: it was no longer needed.")
    return (
        _("Tried, and not delivered yet. %(trouble)s") % {"trouble": mail.trouble} if mail.trouble else _("On its way.")
    )


def detail_of(entry: Entry) -> str:
    if entry.precision is not None:
        return _("First seen by the portal, up to %(seconds)s s after it happened") % {"seconds": entry.precision}
    if entry.kind == Entry.Kind.CREATED and entry.detail:
        return _("With ticket %(ticket)s") % {"ticket": entry.detail}
    if entry.kind in HELD and entry.detail:
        return HELD[Entry.Kind(entry.kind)] % {"name": entry.detail}
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
