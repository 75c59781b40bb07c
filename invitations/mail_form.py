"""The form of a mail to a client. The text is the helpdesk's own: a person chooses its language and may add one line.

Free text would make the portal a relay: whoever got hold of one account could send anything to anybody in the
helpdesk's name. One line without links is enough to say "as promised on the phone" and useless for bait.
"""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

from invitations.forms import OneLineField
from invitations.message_texts import LANGUAGES
from invitations.messages import link_in

LINE_LENGTH = 300
PLAIN = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[^\s@\[\]]+")  # neither quoted names nor numbers for hosts
WRONG_ADDRESS = _("This is no e-mail address. Type one, like name@example.org.")


class AddressField(forms.CharField):
    """One address. A name of letters from elsewhere is taken for its domain alone, in the form that mail travels in."""

    widget = forms.EmailInput

    def to_python(self, value: object) -> str:
        text: str = super().to_python(value) or ""
        name, at, domain = text.rpartition("@")
        try:
            return f"{name}@{punycode(domain)}" if at else text
        except UnicodeError:
            return text

    def validate(self, value: str) -> None:
        super().validate(value)
        try:
            EmailValidator(allowlist=[])(value)
        except ValidationError:
            raise ValidationError(WRONG_ADDRESS) from None
        if not PLAIN.fullmatch(value):
            raise ValidationError(WRONG_ADDRESS)


class MailForm(forms.Form):
    to = AddressField(
        label=_("E-mail address of the client"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": WRONG_ADDRESS},
    )
    language = forms.ChoiceField(label=_("Language"))
    line = OneLineField(
        label=_("A line of your own"),
        max_length=LINE_LENGTH,
        required=False,
        help_text=_("Optional, without links: the rest of the text is your helpdesk’s."),
    )
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, languages: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["language"]
        field.choices = [(language, LANGUAGES[language].name) for language in languages]

    def clean_line(self) -> str:
        line: str = self.cleaned_data["line"]
        if found := link_in(line):
            raise ValidationError(
                _("“%(found)s” looks like a link or an address, and those are not sent from here. Leave it out."),
                params={"found": found[:60]},
            )
        return line
