"""What people type, cleaned so that it can be stored, shown and sent anywhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from invitations.models import NAME_LENGTH
from portal.getscreen.parsing import clean


def one_line(text: str) -> str:
    """Return `text` cleaned like the vendor's own texts, so that both compare equal, with single spaces."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    return " ".join(clean(spaced, 3 * len(text)).split())  # composing makes a few characters longer


class OneLineField(forms.CharField):
    """A short text. Its length counts after cleaning; null bytes are refused."""

    def to_python(self, value: object) -> str:
        text: str = super().to_python(value) or ""
        return text if "\x00" in text else one_line(text)


class NoteField(forms.CharField):
    """A longer text that keeps its line breaks."""

    widget = forms.Textarea

    def to_python(self, value: object) -> str:
        text: str = super().to_python(value) or ""
        if "\x00" in text:
            return text
        return "\n".join(one_line(line) for line in text.splitlines()).strip()


FIRST = forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"})


class CreateForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, required=False, widget=FIRST)
    ticket = OneLineField(label=_("Ticket"), max_length=100, required=False)
    note = NoteField(label=_("Note"), max_length=2000, required=False, help_text=_("Only your team sees it."))
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    FIELDS = ("client_name", "ticket", "note")

    def __init__(self, *args: Any, is_ticket_required: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ticket = self.fields["ticket"]
        ticket.required = is_ticket_required
        ticket.error_messages["required"] = _("Your team asks for a ticket with every invitation. Type its number.")


class RenameForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, widget=FIRST)
