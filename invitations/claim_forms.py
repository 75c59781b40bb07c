"""What people choose when they hand clients over: a colleague or a team, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invitations import recipients
from invitations.forms import OneLineField
from invitations.models import Invitation, Policy
from portal.accounts.models import Team, User

NOTE_LENGTH = 200
Choices = list[tuple[str, str | list[tuple[str, str]]]]


class Recipients:
    """Whom a client may be handed over to: keys for a form, and who stands behind each."""

    def __init__(self, people: Sequence[User], teams: Sequence[Team]) -> None:
        self.people, self.teams = people, teams
        self.by_key: dict[str, User | Team] = {f"person-{person.pk}": person for person in people}
        self.by_key |= {f"team-{team.pk}": team for team in teams}

    @classmethod
    def of(cls, invitation: Invitation, by: User) -> Recipients:
        return cls(recipients.people_for(invitation, by=by), list(recipients.teams_for(invitation)))

    def choices(self, policy: Policy) -> Choices:
        """Return them in groups, as a select shows them."""
        people = [(f"person-{person.pk}", name_of(person, policy)) for person in self.people]
        teams = [(f"team-{team.pk}", team.name) for team in self.teams]
        groups: Choices = [(gettext("People"), people), (gettext("Teams"), teams)]
        return [(title, members) for title, members in groups if members]


def name_of(person: User, policy: Policy) -> str:
    if recipients.is_away(person, policy):
        return gettext("%(name)s (away)") % {"name": person.display_name}
    return person.display_name


class HandOverForm(forms.Form):
    to = forms.ChoiceField(label=_("To"), error_messages={"required": _("Choose a person or a team.")})
    note = OneLineField(
        label=_("Note"),
        max_length=NOTE_LENGTH,
        required=False,
        help_text=_("What your colleague should know. It stands on the timeline."),
    )

    def __init__(self, *args: Any, found: Recipients, policy: Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.found = found
        to = self.fields["to"]
        to.choices = [("", _("Choose…")), *found.choices(policy)]  # type: ignore[attr-defined]
        to.widget.attrs["autofocus"] = True
        gone = _("This person or team cannot be chosen any more. Choose another.")
        to.error_messages["invalid_choice"] = gone

    @property
    def has_choices(self) -> bool:
        return bool(self.found.by_key)

    @property
    def recipient(self) -> User | Team:
        """Return whom a valid form names."""
        return self.found.by_key[self.cleaned_data["to"]]
