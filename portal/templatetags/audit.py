"""How templates say what an event is."""

from __future__ import annotations

import re

from django import template
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from portal.audit import sentences
from portal.audit.kinds import Phase
from portal.audit.models import Event

register = template.Library()
SLUG = re.compile(r"[-a-zA-Z0-9_]+", re.ASCII)


@register.filter
def sentence(event: Event) -> str:
    return sentences.of(event)


@register.filter
def who(event: Event) -> str:
    return sentences.who(event)


@register.filter
def linked_sentence(event: Event, may_follow: bool) -> SafeString:
    """Return the sentence with a link to the invitation it is about, for those who may see invitations."""
    words = {name: conditional_escape(word) for name, word in sentences.words_of(event).items()}
    if may_follow and event.target_type == "invitation" and SLUG.fullmatch(event.target_id):
        address = reverse("invitation", args=[event.target_id])
        words["target"] = format_html('<a href="{}">{}</a>', address, words["target"])
    pattern = conditional_escape(sentences.pattern_of(event))
    return mark_safe(sentences.fill(pattern, words))  # noqa: S308  # nosec B308 B703  # each part was escaped above


MARKS = {"ok": "check", "denied": "lock", "failed": "error", "unknown": "unknown", "started": "clock"}


@register.filter
def outcome(event: Event) -> str:
    """Return how an event ended: its result, or that it has only begun."""
    if event.phase == Phase.INTENT:
        return "started"
    return event.result or "none"


@register.filter
def mark(event: Event) -> str:
    """Return the name of the icon for how an event ended. Each has its own: colour alone says nothing."""
    return MARKS.get(outcome(event), "")
