"""The form of the policy: what it refuses, and the picture that becomes the logo."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext_lazy as _

from invitations import branding, colours, tickets

QUIET = ("quiet_from", "quiet_until")
MOST = 10_000  # minutes, hours, or times: beyond it a limit is none
LIMITED = (
    "escalate_page_seconds",
    "escalate_webhook_seconds",
    "escalate_mail_seconds",
    "escalations_per_hour",
    "orphaned_after_minutes",
    "fresh_factor_minutes",
    "connects_per_ten_minutes",
    "creates_per_hour",
    "expires_after_hours",
    "long_session_hours",
    "erased_after_days",
)


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Everything administrators decide for everybody. Which fields those are, the administration's groups say."""

    logo = forms.FileField(
        label=_("Logo"),
        required=False,
        max_length=200,
        help_text=_("PNG, JPEG or WebP of at most 1 MB. It is drawn anew, 400 × 120 pixels at most."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    is_logo_removed = forms.BooleanField(label=_("Remove the logo"), required=False)

    class Meta:
        widgets: ClassVar = {name: forms.TimeInput(format="%H:%M", attrs={"type": "time"}) for name in QUIET}
        help_texts: ClassVar = {
            "escalate_page_seconds": _("The board shows that client in the colour of a call, and alerts are repeated."),
            "escalate_webhook_seconds": _("All active webhooks, such as one of your chat."),
            "escalate_mail_seconds": _(
                "Leads of the client’s team; if it has none with an address, everybody who may manage all invitations."
            ),
            "escalations_per_hour": _(
                "Of webhooks and mails together, for the whole portal. What is beyond is held back, and the audit log "
                "says so once. 0 allows any number."
            ),
            "quiet_from": _("No webhooks and no mails then: who still waits at the end is escalated at once."),
            "quiet_until": _(
                "In the time zone of the portal (TIME_ZONE), also over midnight. Leave both empty for none."
            ),
            "recording": _("Whether Getscreen records sessions. Each connection says so before it begins."),
            "previews": _("Small pictures of clients' desktops. Each look is an event of the audit log."),
            "is_ticket_required": _("No invitation is made without the number of a ticket."),
            "is_reason_enough": _("Whoever has no ticket may say why instead. Only matters where a ticket is needed."),
            "ticket_pattern": _(
                "# is a digit, @ a letter, * any text once; a comma parts alternatives, such as INC#######, REQ######. "
                "Empty accepts everything."
            ),
            "is_outcome_required": _("Whoever closes an invitation whose client has come says how it ended."),
            "shared_link": _(
                "What is copied, sent and shown as QR code. The portal's own page says who helps and shows two words "
                "for the client to check; it must be reachable from outside at PUBLIC_URL."
            ),
            "supporter_name": _("Of whoever has taken the client, else of who made the invitation. Never a user name."),
            "orphaned_after_minutes": _(
                "A client who waits for somebody who has done nothing for so long calls everybody again. Sessions that "
                "run stay as they are. 0 waits for ever."
            ),
            "visibility": _(
                "With own teams: people see what belongs to their teams, what they made or have taken themselves, and "
                "what belongs to no team, such as invitations made outside the portal. Whoever may see the whole audit "
                "log or administers sees everything."
            ),
            "is_private_allowed": _(
                "Whoever makes an invitation may tick it as private: then only they, whoever has taken it and the "
                "leads of its team see it, beside those who see everything. If you switch this off, private ones are "
                "seen like any other."
            ),
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
            "erased_after_days": _(
                "So many days after an invitation was closed, the portal erases the client's name, code, link, reason, "
                "notes and what was typed for its timeline. Ticket, times, people and outcome stay. It cannot be "
                "undone. 0 keeps everything. The audit log is not touched: `manage.py audit_erase` is for that."
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

    def clean_ticket_pattern(self) -> str:
        pattern = str(self.cleaned_data["ticket_pattern"])
        tickets.validate_pattern(pattern)
        return ", ".join(tickets.alternatives(pattern))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        begin, end = (values.get(name) for name in QUIET)
        if (begin is None) != (end is None) and not self.errors:
            self.add_error("quiet_from" if begin is None else "quiet_until", _("Give both times, or none."))
        return values

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
