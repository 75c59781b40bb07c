"""What people type, cleaned so that it can be stored, shown and sent anywhere."""

from __future__ import annotations

import unicodedata

from django import forms
from django.utils.translation import gettext_lazy as _

from invitations.models import NAME_LENGTH

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def one_line(text: str) -> str:
    """Return `text` composed (NFC), without control and direction characters, with single spaces."""
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if char.isspace() else char for char in composed if keeps(char))
    return " ".join("".join(kept).split())


def keeps(char: str) -> bool:
    return char.isspace() or (unicodedata.category(char) not in ("Cc", "Cs") and char not in BIDI)


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


class RenameForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, widget=FIRST)
