"""The form of the policy: what it refuses, and the picture that becomes the logo."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext_lazy as _

from invitations import branding, colours
from invitations.models import Policy

MOST = 10_000  # minutes, hours, or times: beyond it a limit is none
LIMITED = (
    "fresh_factor_minutes",
    "connects_per_ten_minutes",
    "creates_per_hour",
    "expires_after_hours",
    "long_session_hours",
)


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Everything administrators decide for everybody."""

    logo = forms.FileField(
        label=_("Logo"),
        required=False,
        max_length=200,
        help_text=_("PNG, JPEG or WebP of at most 1 MB. It is drawn anew, 400 × 120 pixels at most."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    is_logo_removed = forms.BooleanField(label=_("Remove the logo"), required=False)

    class Meta:
        model = Policy
        fields = (
            "helpdesk_name",
            "recording",
            "previews",
            "is_ticket_required",
            "fresh_factor_minutes",
            "connects_per_ten_minutes",
            "creates_per_hour",
            "expires_after_hours",
            "long_session_hours",
            "accent",
        )
        help_texts: ClassVar = {
            "recording": _("Whether Getscreen records sessions. Each connection says so before it begins."),
            "previews": _("Small pictures of clients' desktops. Each look is an event of the audit log."),
            "is_ticket_required": _("No invitation is made without the number of a ticket."),
            "fresh_factor_minutes": _(
                "Whoever connects must have confirmed their second factor within so many minutes. 0 asks for no "
                "confirmation."
            ),
            "expires_after_hours": _(
                "So many hours after it was made, the portal closes an invitation that nobody has joined, unless "
                "somebody extends or claims it. 0 lets none expire. A change counts for invitations made from then on; "
                "those made outside the portal never expire."
            ),
            "long_session_hours": _(
                "Whoever has taken the client is then asked whether the session still goes on. Nothing is closed by "
                "itself. 0 never asks."
            ),
            "helpdesk_name": _("Stands on every page, in mails, and in the message to clients."),
            "accent": _(
                "Of the mark and of ordinary buttons, such as #1d4ed8. A lighter shade of it stands on the dark theme. "
                "Without one they stay neutral."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logo_before = self.instance.logo_digest
        for name in LIMITED:
            self.fields[name].validators.append(MaxValueValidator(MOST))
            self.fields[name].widget.attrs["max"] = MOST

    def clean_accent(self) -> str:
        """Refuse a colour on which white text cannot be read, and name the nearest one on which it can."""
        colour = str(self.cleaned_data["accent"]).strip().lower()
        if not colour:
            return ""
        if not colours.HEX.fullmatch(colour):
            raise ValidationError(_("Write the colour as # and six digits, such as #1d4ed8."))
        shade = colours.for_light(colour)
        if shade != colour:
            words = _(
                "White text on this colour has a contrast of %(ratio)s to 1, and %(enough)s to 1 is needed to read it. "
                "The nearest shade that has it is %(shade)s; on the dark theme it becomes %(dark)s by itself."
            )
            ratio = f"{math.floor(colours.contrast(colour, colours.WHITE) * 10) / 10}"
            numbers = {"ratio": ratio, "enough": colours.ENOUGH, "shade": shade, "dark": colours.for_dark(shade)}
            raise ValidationError(words, params=numbers)
        return colour

    def clean_logo(self) -> bytes | None:
        upload = self.cleaned_data.get("logo")
        if not upload:
            return None
        if upload.size > branding.MOST_BYTES:
            raise ValidationError(_("The file is larger than 1 MB. Choose a smaller one."))
        return branding.drawn_anew(upload.read())

    @property
    def changed_data(self) -> list[str]:
        """Of a logo only that it was replaced or removed is worth telling."""
        return [name for name in super().changed_data if name not in ("logo", "is_logo_removed")]

    def save(self, commit: bool = True) -> Any:
        png, is_removed = self.cleaned_data.get("logo"), self.cleaned_data.get("is_logo_removed")
        if png or is_removed:
            self.instance.logo_digest = branding.keep_logo(png)
        return super().save(commit)
