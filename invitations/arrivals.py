"""Clients at the join page: whose code it is, what has become of it, and that somebody went on with it."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from invitations import links
from invitations.codes import Code
from invitations.models import Entry, Invitation, Policy, Snapshot, Status
from invitations.operations import targeted
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result
from portal.languages import untranslated

KNOWN_FOR = timedelta(days=3)  # after its end; then a code is as unknown as one that never was
OPEN = [status for status in Status if status != Status.CLOSED]


def of_code(code: Code) -> Invitation | None:
    """Return the invitation: of those with the code an open one first, the newest first.

    Only what this portal has made with the API key of now is known. A link's tag picks the one it was made for.
    """
    is_known = Q(status__in=OPEN) | Q(closed_at__gte=timezone.now() - KNOWN_FOR)
    rows = Invitation.objects.filter(is_known, code=code.digits, is_external=False)
    if account := Snapshot.load().account:
        rows = rows.of_account(account)
    rows = rows.select_related("taken_by", "created_by").order_by(
        F("closed_at").desc(nulls_first=True), "-created_at", "-pk"
    )
    if code.tag:
        return next((row for row in rows if links.is_of(row, code.tag)), None)
    return rows.first()


def state_of(invitation: Invitation) -> str:
    """Return "open", "in_use", "expired" or "closed": which page the client gets."""
    if invitation.status in (Status.JOINED, Status.ACTIVE):
        return "in_use"
    if invitation.expired_at or invitation.is_due:
        return "expired"
    return "closed" if invitation.status == Status.CLOSED else "open"


def supporter_of(invitation: Invitation, policy: Policy) -> str:
    """Return how the client may call whoever looks after them: a name of the person's own, never their user name."""
    person = invitation.taken_by or invitation.created_by
    if person is None or policy.supporter_name == Policy.SupporterName.NONE:
        return ""
    full = policy.supporter_name == Policy.SupporterName.FULL
    return person.get_full_name() if full else person.first_name.strip()


def has_gone_on(invitation: Invitation) -> bool:
    return invitation.entries.filter(kind=Entry.Kind.CONTINUED).exists()


def go_on(invitation: Invitation, *, language: str, by: User | None = None) -> bool:
    """Record that somebody has pressed Continue, the first time of each invitation; return whether it was.

    `by` is a person of the helpdesk who tries the page out. Raises Unavailable.
    """
    if has_gone_on(invitation):
        return False
    with audit.writing(), untranslated():
        if has_gone_on(invitation):  # in the same moment
            return False
        detail = _("The page was in %(language)s") % {"language": get_language_info(language)["name"]}
        Entry.objects.create(invitation=invitation, kind=Entry.Kind.CONTINUED, detail=detail)
        Snapshot.bump()
        audit.record("join.continued", result=Result.OK, actor=by, facts={"language": language}, **targeted(invitation))
    return True
