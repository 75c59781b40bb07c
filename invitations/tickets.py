"""What a ticket's number looks like, and where it leads.

A pattern is what an administrator can read out: `#` is a digit, `@` a letter, `*` any text; the rest stands
for itself, and a comma parts alternatives. Not a regular expression, which could be made to take minutes.
"""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


def alternatives(pattern: str) -> list[str]:
    return [part.strip() for part in pattern.split(",") if part.strip()]


def validate_pattern(pattern: str) -> None:
    """Raise ValidationError with what cannot be a pattern and why."""
    for part in alternatives(pattern):
        if part.count("*") > 1:
            raise ValidationError(_("“%(part)s” has more than one *. Use one at most."), params={"part": part})
        if not part.strip("*"):
            anything = _("“%(part)s” would accept anything. Leave the field empty for that.")
            raise ValidationError(anything, params={"part": part})


def fits(pattern: str, ticket: str) -> bool:
    """Say whether `ticket` looks like one. Without a pattern everything does; capitals make no difference."""
    wanted = alternatives(pattern)
    return not wanted or any(fits_one(part, ticket) for part in wanted)


def fits_one(part: str, ticket: str) -> bool:
    head, star, tail = part.partition("*")
    if not star:
        return is_like(head, ticket)
    rest = len(ticket) - len(tail)
    return rest >= len(head) and is_like(head, ticket[: len(head)]) and is_like(tail, ticket[rest:])


def is_like(shape: str, text: str) -> bool:
    return len(shape) == len(text) and all(map(stands_for, shape, text))


def stands_for(sign: str, char: str) -> bool:
    if sign == "#":
        return char in "0123456789"
    return char.isalpha() if sign == "@" else sign.lower() == char.lower()


def link(ticket: str) -> str:
    """Return the ticket's address in the ticket system, or nothing."""
    return settings.TICKET_URL.replace("{ticket}", quote(ticket, safe="")) if settings.TICKET_URL and ticket else ""
