"""Pages that several people share, with the few words that differ for one of them.

`{% for_person PK %}for that person{% else %}for everybody else{% end_for_person %}` renders one side
where the context has a `viewer`. Where it has none, both sides stay in the text between marks, and
`Shared` later gives each person their own. Knows nothing of what is rendered.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from django import template
from django.template.base import Node, NodeList, Parser, Token
from django.template.context import Context
from django.utils.safestring import mark_safe

register = template.Library()

# Random for each process, so that no text from outside can pretend to be a mark.
NONCE = secrets.token_hex(8)
MARK, BETWEEN = f"\x02{NONCE}\x02", f"\x03{NONCE}\x03"
MARKED = re.compile(f"{MARK}([0-9]+){BETWEEN}(.*?){BETWEEN}(.*?){MARK}", re.DOTALL)


class ForPerson(Node):
    """One choice between what a person sees and what everybody else does."""

    def __init__(self, person: Any, theirs: NodeList, others: NodeList) -> None:
        self.person = person
        self.theirs = theirs
        self.others = others

    def render(self, context: Context) -> str:
        person = self.person.resolve(context)
        if "viewer" in context:
            is_them = person is not None and person == context["viewer"].pk
            return (self.theirs if is_them else self.others).render(context)
        if person is None:
            return self.others.render(context)
        choice = MARK + BETWEEN.join((str(person), self.theirs.render(context), self.others.render(context))) + MARK
        return mark_safe(choice)  # noqa: S308  # nosec B308 B703  # both sides were escaped by their own templates


@register.tag
def for_person(parser: Parser, token: Token) -> ForPerson:
    """Parse `{% for_person PK %}…{% else %}…{% end_for_person %}`; the second part may be missing."""
    _, person = token.split_contents()
    theirs = parser.parse(("else", "end_for_person"))
    others = NodeList()
    if parser.next_token().contents == "else":
        others = parser.parse(("end_for_person",))
        parser.delete_first_token()
    return ForPerson(parser.compile_filter(person), theirs, others)


class Shared:
    """A text rendered once, ready to be completed for any person."""

    def __init__(self, text: str) -> None:
        parts = MARKED.split(text)
        sides = (part.encode() for part in parts)
        self.first = next(sides)
        # Whose, what they see, what everybody else does, and what follows.
        self.choices = [(whose.decode(), *rest) for whose, *rest in zip(sides, sides, sides, sides, strict=True)]

    def for_person(self, pk: int) -> bytes:
        """Return the text in UTF-8, with this person's side of each choice."""
        person, chosen = str(pk), [self.first]
        for whose, theirs, others, after in self.choices:
            chosen += (theirs if whose == person else others, after)
        return b"".join(chosen)

    def text_for(self, pk: int) -> str:
        """Return the same for a template that includes it."""
        return mark_safe(self.for_person(pk).decode())  # noqa: S308  # nosec B308 B703  # as above
