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


LOST_TEAM = _(
    "You are not in that team any more, so nothing was created. Look at the team below and press "
    "“Create invitation” again."
)
LOST_TEAMS = _(
    "You are in no team any more, so nothing was created. If you press “Create invitation” again, the invitation "
    "belongs to no team and everybody sees it."
)
NOT_PRIVATE = _(
    "Private invitations are switched off, so nothing was created. If you press “Create invitation” again, "
    "others see it."
)
FIRST = forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"})


class CreateForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, required=False, widget=FIRST)
    ticket = OneLineField(label=_("Ticket"), max_length=100, required=False)
    note = NoteField(label=_("Note"), max_length=2000, required=False, help_text=_("Only your team sees it."))
    team = forms.TypedChoiceField(label=_("Team"), coerce=int, empty_value=None, required=False)
    is_private = forms.BooleanField(label=_("Private: only you and leads see it"), required=False)
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    FIELDS = ("client_name", "ticket", "note")

    def __init__(
        self,
        *args: Any,
        is_ticket_required: bool = False,
        teams: dict[int, str] | None = None,
        is_private_allowed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        ticket = self.fields["ticket"]
        ticket.required = is_ticket_required
        ticket.error_messages["required"] = _("Your team asks for a ticket with every invitation. Type its number.")
        self.choose_among(teams or {})
        self.was_private = not is_private_allowed and bool(self.data.get("is_private"))
        if not is_private_allowed:
            del self.fields["is_private"]

    def choose_among(self, teams: dict[int, str]) -> None:
        """Offer the person's teams: of one there is no choice, but the page says which one it was."""
        field, sent = self.fields["team"], str(self.data.get("team") or "")
        self.lost_team = bool(sent) and sent not in map(str, teams)
        field.choices = list(teams.items())  # type: ignore[attr-defined]
        field.error_messages["invalid_choice"] = LOST_TEAM
        if not teams:
            del self.fields["team"]
        elif len(teams) == 1 and not self.lost_team:
            field.widget = forms.HiddenInput()
            self.initial.setdefault("team", next(iter(teams)))

    @property
    def offers_more(self) -> bool:
        """Say whether a person sees more fields than the first three."""
        return any(field.name in ("team", "is_private") for field in self.visible_fields())

    def clean(self) -> dict[str, Any]:
        """Refuse what would be seen by others than the person believed when they filled the form in."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.lost_team and "team" not in self.fields:
            self.add_error(None, LOST_TEAMS)
        if self.was_private:
            self.add_error(None, NOT_PRIVATE)
        return values


class RenameForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, widget=FIRST)
