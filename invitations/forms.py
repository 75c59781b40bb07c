"""What people type, cleaned so that it can be stored, shown and sent anywhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from invitations import notes, tickets
from invitations.models import NAME_LENGTH, Invitation, Note, Outcome, Policy
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


class SeenField(forms.IntegerField):
    """The version of the note that somebody has read. What is no number is none that exists."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(required=False, min_value=0, max_value=1_000_000)

    def clean(self, value: object) -> int:
        try:
            return super().clean(value) or 0
        except ValidationError:
            return 0


TICKET_REQUIRED = _("Your team asks for a ticket with every invitation. Type its number.")
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


class SentForm(forms.Form):
    """A form that tells only what was sent: a field that is missing leaves things as they are."""

    theirs: Note | None = None

    @property
    def told(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name in self.data}

    def clash(self, invitation: Invitation) -> None:
        """Show the note somebody else has written meanwhile, and take it as seen when the form is sent again."""
        self.theirs = invitation.notes.order_by("pk").last()  # by no clock
        self.data = {**self.data.dict(), "seen": str(notes.version(invitation))}  # type: ignore[attr-defined]


class TicketForm(forms.Form):
    """Ticket and, where the policy takes one instead, reason: asked for and checked as the policy says."""

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = policy
        ticket = self.fields["ticket"]
        if policy.is_ticket_required and self.is_demanding and not policy.is_reason_enough:
            ticket.required = True
            ticket.error_messages["required"] = TICKET_REQUIRED
        if policy.ticket_pattern:
            shapes = " · ".join(tickets.alternatives(policy.ticket_pattern))
            ticket.help_text = _("Such as %(shapes)s (# is a digit, @ a letter).") % {"shapes": shapes}
        if not (policy.is_ticket_required and policy.is_reason_enough):
            del self.fields["reason"]

    @property
    def is_demanding(self) -> bool:
        """Say whether what the policy wants has to be there."""
        return True

    def clean_ticket(self) -> str:
        ticket: str = self.cleaned_data["ticket"]
        if ticket and ticket != self.initial.get("ticket") and not tickets.fits(self.policy.ticket_pattern, ticket):
            raise ValidationError(_("This is no ticket of your team's. Look at its number once more."))
        return ticket

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_given = cleaned.get("ticket") or cleaned.get("reason") or "ticket" in self.errors
        if self.is_demanding and "reason" in self.fields and "reason" not in self.errors and not is_given:
            self.add_error("ticket", _("Type a ticket, or say below why there is none."))
        return cleaned


class CreateForm(TicketForm):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, required=False, widget=FIRST)
    ticket = OneLineField(label=_("Ticket"), max_length=100, required=False)
    reason = OneLineField(label=_("Reason, if there is no ticket"), max_length=200, required=False)
    note = NoteField(label=_("Note"), max_length=2000, required=False, help_text=_("Only your team sees it."))
    team = forms.TypedChoiceField(label=_("Team"), coerce=int, empty_value=None, required=False)
    is_private = forms.BooleanField(label=_("Private: only you and leads see it"), required=False)
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    FIELDS = ("client_name", "ticket", "reason", "note")

    def __init__(
        self,
        *args: Any,
        teams: dict[int, str] | None = None,
        is_private_allowed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
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


class NoteForm(SentForm, TicketForm):
    """Ticket and note of an invitation. `seen` is the version of the note that the page has shown.

    What has neither ticket nor reason, such as invitations made outside the portal, may be annotated all the same.
    """

    ticket = OneLineField(label=_("Ticket"), max_length=100, required=False)
    reason = OneLineField(label=_("Reason, if there is no ticket"), max_length=200, required=False)
    note = NoteField(label=_("Note"), max_length=2000, required=False, help_text=_("Only your team sees it."))
    seen = SeenField()

    @property
    def is_demanding(self) -> bool:
        return bool(self.initial["ticket"] or self.initial["reason"])


class OutcomeForm(SentForm):
    """How it ended, and the note."""

    outcome = forms.ChoiceField(label=_("How did it end?"), required=False, widget=forms.RadioSelect)
    note = NoteField(label=_("Note"), max_length=2000, required=False, help_text=_("Only your team sees it."))
    seen = SeenField()

    def __init__(self, *args: Any, is_required: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = self.initial.get("outcome", "")  # perhaps no longer offered
        names = Outcome.objects.filter(is_offered=True).exclude(name=now).values_list("name", flat=True)
        choices = [(name, name) for name in [*([now] if now else []), *names]]
        outcome: Any = self.fields["outcome"]
        outcome.required = is_required
        outcome.error_messages["required"] = _("Your team asks how it ended. Choose one.")
        outcome.choices = choices if is_required else [*choices, ("", _("Say nothing"))]


class RenameForm(forms.Form):
    client_name = OneLineField(label=_("Client name"), max_length=NAME_LENGTH, widget=FIRST)
