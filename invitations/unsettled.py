"""What nobody knows whether it happened, in words: for the board and for an invitation's timeline.

Says what was attempted, what it may have done and what to do next. Settling is the watcher's work;
whatever it settles is no longer found here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invitations.models import UNSETTLED_ON_BOARD, Invitation, Operation, OperationQuerySet, Sight, Status

SHOWN = 5
OLDER_FOR = timedelta(days=30)

Text = str | Promise
WHAT: dict[str, Text] = {
    "create": gettext_lazy("create “%(name)s”"),
    "connect": gettext_lazy("connect to “%(name)s”"),
    "rename": gettext_lazy("rename “%(name)s”"),
    "close": gettext_lazy("close “%(name)s”"),
    "expire": gettext_lazy("close “%(name)s”, which has expired"),
}
# What it may have done, and what to do next.
MEANING: dict[str, tuple[Text, Text]] = {
    "create": (
        gettext_lazy("The invitation may exist at Getscreen without an owner here."),
        gettext_lazy("Look for it on this board as “external” before you make another one."),
    ),
    "connect": (
        gettext_lazy("A link may have been made, but nobody received it."),
        gettext_lazy("Connect again if the client still waits."),
    ),
    "rename": (
        gettext_lazy("Getscreen may have the new name or the old one."),
        gettext_lazy("The list shows which; rename again if it is the old one."),
    ),
    "close": (
        gettext_lazy("It may still be open at Getscreen."),
        gettext_lazy("Close it again if the list still shows it as open."),
    ),
    "expire": (
        gettext_lazy("It may still be open at Getscreen."),
        gettext_lazy("Nothing needs to be done: the list will show it, and the portal tries again."),
    ),
}
OTHER: tuple[Text, Text] = (gettext_lazy("It may have been carried out."), gettext_lazy("Look before you try again."))


@dataclass(frozen=True)
class Line:
    """One attempt whose outcome is not known, the same for everybody who may see it."""

    reference: str
    at: datetime
    verb: str
    name: str
    by: str
    url: str

    @property
    def what(self) -> str:
        return str(WHAT.get(self.verb, self.verb)) % {"name": self.name or _("No name yet")}

    @property
    def meaning(self) -> Text:
        return MEANING.get(self.verb, OTHER)[0]

    @property
    def next(self) -> Text:
        return MEANING.get(self.verb, OTHER)[1]


@dataclass(frozen=True)
class Shown:
    """The newest lines, how many more there are, and how many older ones no page of an invitation shows."""

    lines: list[Line]
    more: int
    older: int = 0

    @property
    def others(self) -> int:
        """How many there are beside the newest, which alone never hides a client who waits."""
        return len(self.lines) - 1 + self.more if self.lines else 0


def on_board(sight: Sight) -> Shown:
    """Return what is unsettled since yesterday, of everybody whose clients the viewer may know of.

    Older creates have no page of an invitation to stand on, so for a month the board says how many there are.
    """
    day_ago, month_ago = timezone.now() - UNSETTLED_ON_BOARD, timezone.now() - OLDER_FOR
    of_old = Q(verb="create", invitation=None, started_at__gte=month_ago)
    known = unsettled().filter(Q(started_at__gte=day_ago) | of_old).filter(sight.of_operations)
    known = known.exclude(verb="rename", invitation__status=Status.CLOSED)  # nobody needs to know any more
    found = list(known[: SHOWN + 1])
    recent = [op for op in found if op.started_at >= day_ago]
    if len(found) <= SHOWN:
        return Shown([line_of(op) for op in recent], 0, len(found) - len(recent))
    count = known.filter(started_at__gte=day_ago).count()
    return Shown([line_of(op) for op in recent[:SHOWN]], max(0, count - SHOWN), known.count() - count)


def of(invitation: Invitation) -> list[Line]:
    """Return what is unsettled about one invitation, however old, the oldest first."""
    return [line_of(op) for op in unsettled().filter(invitation=invitation).reverse()]


def unsettled() -> OperationQuerySet:
    return Operation.objects.unsettled().select_related("by", "invitation").order_by("-started_at", "-pk")


def line_of(op: Operation) -> Line:
    return Line(
        reference=op.reference,
        at=op.started_at,
        verb=op.verb,
        name=op.invitation.client_name if op.invitation else op.client_name,
        by=op.by.display_name if op.by else "",
        url=reverse("invitation", kwargs={"public_id": op.invitation.public_id}) if op.invitation else "",
    )
