"""How templates say what an event is."""

from django import template

from portal.audit import sentences
from portal.audit.models import Event

register = template.Library()


@register.filter
def sentence(event: Event) -> str:
    return sentences.of(event)


@register.filter
def who(event: Event) -> str:
    return sentences.who(event)
