"""What happened, as text to paste into a ticket: plain, Markdown and HTML.

It holds neither code nor link for the client. Names and notes are whatever people typed, so each form
escapes what would mean something in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invitations.models import Entry, Invitation
from invitations.presentation import gap, line_of

MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&@:])")  # that Markdown, or a page it becomes, could take for its own
TOLD = (
    Entry.Kind.CREATED,
    Entry.Kind.JOINED,
    Entry.Kind.CONNECTED,
    Entry.Kind.ACTIVE,
    Entry.Kind.LEFT,
    Entry.Kind.CLOSED,
    Entry.Kind.CLOSED_OUTSIDE,
    Entry.Kind.EXPIRED,
)


@dataclass(frozen=True)
class Text:
    """One form of the text."""

    key: str
    label: str | Promise
    body: str


def texts(invitation: Invitation) -> list[Text]:
    facts, events = facts_of(invitation), events_of(invitation)
    heading = _("Remote support for %(name)s") % {"name": invitation.display_name}
    return [
        Text("plain", gettext_lazy("Plain text"), plain(heading, facts, events)),
        Text("markdown", gettext_lazy("Markdown"), markdown(heading, facts, events)),
        Text("html", gettext_lazy("HTML"), html(heading, facts, events)),
    ]


def facts_of(invitation: Invitation) -> list[tuple[str, str]]:
    """Return what is known, as names and values; what is not known is left out."""
    last = invitation.entries.filter(kind=Entry.Kind.CONNECTED).order_by("at", "pk").last()
    length = gap(invitation.active_at, invitation.closed_at) if invitation.active_at and invitation.closed_at else ""
    known = [
        (_("Ticket"), invitation.ticket),
        (_("Reason"), invitation.reason),
        (_("Supporter"), last.actor_name if last else invitation.taken_by_name),
        (_("System"), invitation.os_label),
        (_("Length"), length),
        (_("Outcome"), invitation.outcome),
        (_("Note"), invitation.note),
        (_("In the portal"), settings.PUBLIC_URL + reverse("invitation", args=[invitation.public_id])),
    ]
    return [(name, value) for name, value in known if value]


def events_of(invitation: Invitation) -> list[tuple[str, str]]:
    entries = [entry for entry in invitation.entries.all() if entry.kind in TOLD]
    return [(f"{timezone.localtime(entry.at):%Y-%m-%d %H:%M}", line_of(entry, None).title) for entry in entries]


def plain(heading: str, facts: list[tuple[str, str]], events: list[tuple[str, str]]) -> str:
    lines = [heading, "", *(f"{name}: {value}" for name, value in facts), ""]
    return "\n".join([*lines, *(f"{at}  {what}" for at, what in events)])


def markdown(heading: str, facts: list[tuple[str, str]], events: list[tuple[str, str]]) -> str:
    lines = [f"**{marked(heading)}**", "", *(f"- {marked(name)}: {marked(value)}" for name, value in facts), ""]
    return "\n".join([*lines, *(f"- {at}  {marked(what)}" for at, what in events)])


def marked(text: str) -> str:
    """Return `text` so that Markdown takes every character for itself, on one line of a list."""
    ours = f"{settings.PUBLIC_URL}/"
    is_address = text.startswith(ours) and re.fullmatch(r"[A-Za-z0-9/_-]*", text.removeprefix(ours))
    lines = [MARKS.sub(r"\\\1", line) for line in text.split("\n") if line]
    return text if is_address else "\\\n  ".join(lines)  # a backslash at the end of a line breaks it


def html(heading: str, facts: list[tuple[str, str]], events: list[tuple[str, str]]) -> str:
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{lined(value)}</dd>" for name, value in facts)
    items = "\n".join(f"<li>{at} {escape(what)}</li>" for at, what in events)
    return f"<p><b>{escape(heading)}</b></p>\n<dl>\n{rows}\n</dl>\n<ul>\n{items}\n</ul>"


def lined(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))
