"""Old invitations nobody has joined: which a person may close, and closing several of them one after another."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invitations import actions, expiry, failures
from invitations.models import Entry, Invitation, InvitationQuerySet, Operation, Status
from invitations.observations import KEPT_AFTER_LEAVING
from invitations.operations import Unrecorded
from invitations.refusals import ActionRefused, SentTwice, UnderWay
from invitations.wordings import WORDINGS
from portal import audit
from portal.accounts import roles
from portal.accounts.models import User
from portal.getscreen.errors import BadRequest, GetscreenError

MOST = 50  # at once
CLOSE_WITHIN = 20.0  # seconds after which no further one begins: a person waits for the page
AGES: dict[int, str | Promise] = {  # hours
    8: gettext_lazy("8 hours"),
    24: gettext_lazy("a day"),
    72: gettext_lazy("3 days"),
    168: gettext_lazy("a week"),
}
USUAL = 24


@dataclass(frozen=True)
class Candidate:
    """One that may be closed, why one had better not, and whether it is ticked: by the person, else as a suggestion."""

    invitation: Invitation
    doubt: str
    is_ticked: bool


@dataclass(frozen=True)
class Line:
    """How it went with one."""

    invitation: Invitation
    how: str  # closed, already, joined, claimed, failed, unknown or left
    why: str | Promise = ""


def candidates(user: User, *, account: str, hours: int) -> InvitationQuerySet:
    """Return those that `user` may close and nobody has joined for so many hours, the oldest first."""
    now = timezone.now()
    rows = Invitation.objects.visible_to(user).filter(status=Status.WAITING)
    rows = rows.filter(created_at__lte=now - timedelta(hours=hours))
    if account:
        rows = rows.of_account(account)
    if not user.has_perm(roles.MANAGE_ANY):
        rows = rows.filter(created_by=user)
    left = Max("entries__at", filter=Q(entries__kind=Entry.Kind.LEFT))
    return rows.annotate(left_at=left).order_by("created_at", "pk")


def candidate(invitation: Invitation, ticked: Container[str] | None = None) -> Candidate:
    """`ticked`: the ids somebody has chosen, where they have."""
    left_at: datetime | None = invitation.left_at  # type: ignore[attr-defined]  # of `candidates`
    doubt = ""
    if invitation.is_external:
        doubt = _("Made outside the portal: somebody else may be counting on it")
    elif invitation.taken_by_id is not None:
        doubt = claimed_by(invitation)
    elif left_at is not None and timezone.now() - left_at < KEPT_AFTER_LEAVING:
        doubt = _("The client has left only a moment ago and may come back")
    return Candidate(invitation, doubt, not doubt if ticked is None else invitation.public_id in ticked)


def claimed_by(invitation: Invitation) -> str:
    return _("Claimed by %(name)s") % {"name": invitation.taken_by_name}


def close_all(chosen: Sequence[Invitation], *, by: User, token: str, holders: Mapping[str, str]) -> list[Line]:
    """Close one after another and say of each how it went. Of the same form sent again none is closed twice.

    `holders`: the key of whoever had each as far as the person was shown. What anybody else has by now stays open.
    What the vendor, or our own log, refuses for all of them ends it: the rest is left as it was. Raises Unavailable
    where nothing can be recorded at all.
    """
    audit.ensure_writable()
    deadline, lines, trouble = time.monotonic() + CLOSE_WITHIN, list[Line](), ""
    for invitation in chosen:
        if not trouble and time.monotonic() > deadline:
            trouble = _("Getscreen is slow, so the portal stopped after %(seconds)s seconds") % {
                "seconds": int(CLOSE_WITHIN)
            }
        if trouble:
            lines.append(Line(invitation, "left", trouble))
            continue
        line, is_for_all = close_one(invitation, by=by, token=token, holder=holders.get(invitation.public_id, ""))
        lines.append(line)
        trouble = str(line.why) if is_for_all else ""
    return lines


def close_one(invitation: Invitation, *, by: User, token: str, holder: str) -> tuple[Line, bool]:
    """Close it unless somebody has joined. Says as well whether what went wrong would be so with every other."""
    try:
        how = close_if_waiting(invitation, by=by, token=token, holder=holder)
    except (SentTwice, UnderWay) as refusal:
        return Line(invitation, "already", WORDINGS[refusal.reason].text), False
    except (GetscreenError, ActionRefused, audit.Unavailable) as error:
        is_unknown = getattr(error, "may_have_acted", False) or isinstance(error, Unrecorded)
        is_for_all = isinstance(error, GetscreenError | audit.Unavailable) and not isinstance(error, BadRequest)
        why = WORDINGS[failures.kind_of(error)].title
        return Line(invitation, "unknown" if is_unknown else "failed", why), is_for_all
    return Line(invitation, how, claimed_by(invitation) if how == "claimed" else ""), False


def close_if_waiting(invitation: Invitation, *, by: User, token: str, holder: str) -> str:
    if Operation.objects.filter(verb="close", by=by, token=token, invitation=invitation).exists():
        raise SentTwice(invitation)
    if invitation.is_open and not is_in_use(invitation):
        if is_claimed_by_another(invitation, by=by, holder=holder):
            return "claimed"
        actions.close(invitation=invitation, by=by, token=token)
        return "closed"
    return "joined" if invitation.is_open else "already"


def is_claimed_by_another(invitation: Invitation, *, by: User, holder: str) -> bool:
    """Say whether somebody has it by now who is neither `by` nor the one they were shown."""
    invitation.refresh_from_db(fields=["taken_by", "taken_by_name"])
    return invitation.taken_by_id not in (None, by.pk) and str(invitation.taken_by_id) != holder


def is_in_use(invitation: Invitation) -> bool:
    """Ask the vendor whether somebody is there. Of an id that is not known any more, nobody is."""
    if invitation.status != Status.WAITING:
        return True
    try:
        waiting = expiry.look_again(actions.client_for(invitation), invitation)
    except BadRequest:
        return False
    return waiting is None
