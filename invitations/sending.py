"""One try to hand over one mail or one webhook: how it went, in words that hold nothing of what was said there."""

from __future__ import annotations

import logging
import smtplib
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from invitations.models import Delivery, Webhook
from invitations.webhooks import Call, target_of
from portal.sealing import Unreadable

logger = logging.getLogger(__name__)
REFUSED_FOR_GOOD = range(500, 600)  # what SMTP says so to


class Outcome(NamedTuple):
    """`trouble` is empty if it worked; what is final is not tried again."""

    trouble: str = ""
    is_final: bool = False


def one_line(text: str) -> str:
    """Return text as a header may hold it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


# --- Mails -------------------------------------------------------------------------------------------


def send_mail(*, to: str, subject: str, body: str, public_id: str) -> Outcome:
    """Hand one mail to the mail server. The same `public_id` is the same mail, sent again."""
    if not settings.MAILERS:
        return Outcome(_("The portal has no mail server (EMAIL_URL)."))
    host = urlsplit(settings.PUBLIC_URL).hostname
    headers = {"Message-ID": f"<{public_id}@{host}>", "Auto-Submitted": "auto-generated"}
    try:
        EmailMessage(one_line(subject), body, None, [to], headers=headers).send()
    except Exception as error:
        return why_not_mailed(error)
    return Outcome()


def why_not_mailed(error: Exception) -> Outcome:
    """Return our own words: a server's may repeat what it was told."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _text in error.recipients.values()]
        is_final = bool(codes) and all(code in REFUSED_FOR_GOOD for code in codes)
        says = _("The mail server refuses this address (%(code)s).") % {"code": max(codes, default=0)}
        return Outcome(says, is_final)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Outcome(_("The mail server does not take the portal’s user name and password."))
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError):  # nothing was said of this mail yet
        return Outcome(_("The mail server takes nothing now (%(code)s).") % {"code": error.smtp_code})
    if isinstance(error, smtplib.SMTPResponseException):
        says = _("The mail server refuses this mail (%(code)s).") % {"code": error.smtp_code}
        return Outcome(says, error.smtp_code in REFUSED_FOR_GOOD)
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, TimeoutError):
        error = error.__context__
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome(_("The mail server does not offer what EMAIL_URL asks for."))
    if isinstance(error, ValueError):  # of Django: an address or a header that no mail can have
        return Outcome(_("No mail can be sent to this address or with this subject."), is_final=True)
    for kind, says in (
        (TimeoutError, _("The mail server did not answer in time.")),
        (ssl.SSLError, _("There is no secure connection to the mail server.")),
        (smtplib.SMTPException, _("The mail server broke the connection off.")),
        (OSError, _("The mail server cannot be reached.")),
    ):
        if isinstance(error, kind):
            return Outcome(says)
    logger.error("A mail could not be sent: %s", type(error).__name__)
    return Outcome(_("The mail could not be sent."))


# --- Webhooks ----------------------------------------------------------------------------------------


def call_webhook(webhook: Webhook, payload: dict[str, object], public_id: str) -> Outcome:
    """Call a webhook once. It must answer 2xx; what else it says is read to no purpose and never shown."""
    try:
        target = target_of(webhook)
    except Unreadable:
        return Outcome(_("No key opens the address: type it anew."), is_final=True)
    return Outcome(Call(target, payload, public_id).make())


def attempt(delivery: Delivery) -> Outcome:
    """Try once. Takes as long as the other side lets it, within the limits of `portal.mail` and `webhooks`."""
    if delivery.kind == Delivery.Kind.MAIL:
        return send_mail(to=delivery.to, subject=delivery.subject, body=delivery.body, public_id=delivery.public_id)
    if delivery.webhook is None:
        return Outcome(_("The webhook is gone."), is_final=True)
    return call_webhook(delivery.webhook, delivery.payload, delivery.public_id)
