"""The filters of the audit page: what stands in the address, and what it means to the log's columns."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from portal.audit.canonical import storable
from portal.audit.kinds import KINDS, Result
from portal.audit.models import PORTAL, STRANGER
from portal.audit.origin import parse_address, wider_network_of
from portal.audit.search import Criteria, Place

# Beyond them the day before or after, or another time zone's, does not exist.
SENSIBLE = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
PUBLIC_ID = re.compile(r"(?:.*/invitations/)?([A-Za-z0-9_-]{1,64})(?:/[^/]*)*", re.DOTALL)
REFERENCE = re.compile(r"[0-9a-f]{32}")
KEPT = {4: 24, 6: 48}  # as much of an address as the log keeps for ever
MICROSECONDS = 1_000_000

# What the part before the dot belongs to. Others stand under their own name.
GROUPS: dict[str, str | Promise] = {
    "signin": _("Sign-in"),
    "signout": _("Sign-in"),
    "session": _("Sign-in"),
    "reauthentication": _("Sign-in"),
    "password": _("Passwords"),
    "enrolment": _("People"),
    "user": _("People"),
    "team": _("People"),
    "policy": _("Administration"),
    "admin": _("Administration"),
    "access": _("Refusals"),
    "invitation": _("Invitations"),
    "history": _("Invitations"),
    "vendor": _("Seen at Getscreen"),
    "audit": _("Audit log"),
    "system": _("Portal"),
}
Choices = list[tuple[Any, Any]]


class PlaceField(forms.CharField):
    """Where the page before ended."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=40, widget=forms.HiddenInput)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return Place.read(text) if text else None
        except ValueError:
            raise forms.ValidationError(_("This place in the log cannot be read.")) from None


class FilterForm(forms.Form):
    """Everything is optional. A wrong value is an error beside its field, and then nothing is searched."""

    who = forms.ChoiceField(label=_("Who"), required=False)
    kind = forms.ChoiceField(label=_("Action"), required=False)
    result = forms.ChoiceField(label=_("Outcome"), required=False)
    invitation = forms.CharField(label=_("Invitation"), required=False, max_length=300)
    ticket = forms.CharField(label=_("Ticket"), required=False, max_length=100)
    network = forms.CharField(label=_("Network"), required=False, max_length=60)
    reference = forms.CharField(label=_("Reference"), required=False, max_length=40)
    before = PlaceField()
    after = PlaceField()

    def __init__(self, data: Any = None, *, only_own: bool = False, among: frozenset[str] | None = None) -> None:
        super().__init__(data)
        days = {"from": self._day(_("From")), "to": self._day(_("To"))}  # `from` cannot be an attribute
        self.fields = days | self.fields
        if only_own:
            del self.fields["who"]
        else:
            self._choose("who", [("", _("Anyone")), *people(among)])
        self._choose("kind", [("", _("Any action")), *kinds()])
        self._choose("result", [("", _("Any outcome")), *Result.choices])
        self._suggest("invitation", _("Address or id"))
        self._suggest("network", _("IP address"))

    @staticmethod
    def _day(label: Any) -> forms.DateField:
        return forms.DateField(
            label=label, required=False, validators=SENSIBLE, widget=forms.DateInput(attrs={"type": "date"})
        )

    def _choose(self, name: str, choices: Choices) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _suggest(self, name: str, text: Any) -> None:
        self.fields[name].widget.attrs["placeholder"] = text

    def clean_invitation(self) -> str:
        """Return the public id, also out of a pasted address of the invitation's page."""
        text = self.cleaned_data["invitation"].split("?")[0].split("#")[0]
        found = PUBLIC_ID.fullmatch(text)
        if text and not found:
            raise forms.ValidationError(_("Paste the address of the invitation’s page, or its id."))
        return found[1] if found else ""

    def clean_ticket(self) -> str:
        return storable(self.cleaned_data["ticket"])

    def clean_network(self) -> str:
        """Return the /24 or /48 that the log keeps for an address or network."""
        text: str = self.cleaned_data["network"]
        if not text:
            return ""
        if parse_address(text):
            return wider_network_of(text)
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise forms.ValidationError(_("This is no IP address and no network.")) from None
        if network.prefixlen < KEPT[network.version]:
            raise forms.ValidationError(_("Give an address, or a network no wider than /24 (IPv6: /48)."))
        return wider_network_of(str(network.network_address))

    def clean_reference(self) -> str:
        text: str = self.cleaned_data["reference"].lower().replace(" ", "").replace("-", "")
        if text and not REFERENCE.fullmatch(text):
            raise forms.ValidationError(_("A reference has 32 characters, 0–9 and a–f."))
        return text

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("from") and data.get("to") and data["to"] < data["from"]:
            self.add_error("to", _("This is before the first day."))
        return data

    @property
    def filters(self) -> dict[str, str]:
        """The filters in force, as the address says them."""
        found = {name: self.cleaned_data.get(name) for name in self.fields if name not in ("before", "after")}
        return {name: str(value) for name, value in found.items() if value}

    @property
    def shown(self) -> list[tuple[Any, str]]:
        """Label and value of each, to be read."""
        return [(self.fields[name].label, self._in_words(name, value)) for name, value in self.filters.items()]

    def _in_words(self, name: str, value: str) -> str:
        choices = getattr(self.fields[name], "choices", [])
        flat = [pair for entry in choices for pair in (entry[1] if isinstance(entry[1], list) else [entry])]
        return str(dict(flat).get(value, value))

    @property
    def digest(self) -> str:
        """What tells one set of filters from another, and not what they are."""
        return hashlib.sha256(urlencode(sorted(self.filters.items())).encode()).hexdigest()[:16]

    @property
    def wrong_places(self) -> list[str]:
        return [*self.errors.get("before", []), *self.errors.get("after", [])]

    @property
    def criteria(self) -> Criteria:
        """What the filters mean. Only of a form that is valid."""
        data = self.cleaned_data
        equal = {
            "actor": data.get("who", ""),
            "kind": data["kind"],
            "result": data["result"],
            "network": data["network"],
            "reference": data["reference"],
            "target": f"invitation:{data['invitation']}" if data["invitation"] else "",
        }
        return Criteria(
            equal={column: value for column, value in equal.items() if value},
            ticket=data["ticket"],
            since=start_of(data["from"]) if data["from"] else None,
            until=start_of(data["to"] + timedelta(days=1)) - 1 if data["to"] else None,
        )


def people(among: frozenset[str] | None) -> Choices:
    """Return everybody who has an account, and the two who have none, as the log's column calls them; or only some."""
    users = list(get_user_model().objects.only("username", "first_name", "last_name"))
    namesakes = Counter(user.display_name for user in users)
    found = []
    for user in users:
        name = user.display_name
        found.append((f"user:{user.pk}", f"{name} ({user.username})" if namesakes[name] > 1 else name))
    found.sort(key=lambda choice: choice[1].casefold())
    if among is not None:
        return [choice for choice in found if choice[0] in among]
    return [
        (_("Without an account"), [(PORTAL, _("The portal")), (STRANGER, _("Not signed in"))]),
        (_("People"), found),
    ]


def kinds() -> Choices:
    """Return the kinds in groups, in the order in which they are registered."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, kind in KINDS.items():
        family = name.partition(".")[0]
        groups.setdefault(str(GROUPS.get(family, family.capitalize())), []).append((name, kind.label))
    return list(groups.items())


def start_of(day: date) -> int:
    """Return the first moment of a day in the site's time zone, in microseconds."""
    return int(timezone.make_aware(datetime.combine(day, time.min)).timestamp()) * MICROSECONDS
