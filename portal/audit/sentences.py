"""What an event says to a person: its kind's sentence, filled from its facts and details."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from portal.audit.kinds import KINDS, Phase, Result
from portal.audit.models import PORTAL, Event

COUNTED = ("count", "rows")  # facts by which sentences have two forms


def of(event: Event) -> str:
    """Return the sentence that follows the person's name. Unknown kinds of other releases say their name."""
    return fill(pattern_of(event), words_of(event))


def pattern_of(event: Event) -> str:
    """Return the sentence before it is filled."""
    kind = KINDS.get(event.kind)
    if kind is None:
        return event.kind.replace("%", "%%")
    is_done = event.result == Result.OK and event.phase != Phase.INTENT
    text = kind.done if is_done or not kind.tried else kind.tried
    return str(text % Names(event.facts))


class Count(int):
    """A number that chooses a sentence's form, and stays to be filled in."""

    name: str

    def __str__(self) -> str:
        return f"%({self.name})s"


class Names(dict[str, Any]):
    """Fills a sentence with the names of what it wants, in the form for how many there are."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self.facts = facts

    def __missing__(self, name: str) -> str | Count:
        if name not in COUNTED:
            return f"%({name})s"
        known = self.facts.get(name)
        count = Count(known if isinstance(known, int) else 0)
        count.name = name
        return count


def fill(pattern: str, words: Mapping[str, str]) -> str:
    return pattern % defaultdict(lambda: "…", words)


def words_of(event: Event) -> dict[str, str]:
    """Return what the sentence may name. What was erased says so."""
    lost = _("[erased]") if event.has_lost_details else _("somebody without a name")
    words = {"target": lost, "claimed": lost}
    for source in (event.content["up"], event.facts, event.details):
        words |= {name: in_words(value) for name, value in source.items()}
    return words


def in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def who(event: Event) -> str:
    """Return who it was, in words also for those without an account."""
    if event.actor == PORTAL:
        return _("The portal")
    return event.actor_name or _("Somebody who is not signed in")
