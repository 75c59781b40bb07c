"""Pages to share an invitation with its client: all ways at once, large on the screen, aloud, and by mail."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages as notices
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from invitations import messages, sharing, spelling
from invitations.context import policy_of
from invitations.mail_form import MailForm
from invitations.message_texts import DEFAULT
from invitations.models import Entry, Invitation
from invitations.presentation import Row, timeline
from invitations.share_context import language_of, remember, share_context
from invitations.tokens import new_token, sound
from invitations.views import find, row_for
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require

WAYS = {"": "invitations/share_page.html", "read": "invitations/read_aloud.html", "qr": "invitations/large.html"}


@require_GET
@require(roles.SEE_CODES)
def share(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Show what can be shared, in a language: all of it, or `?as=` one of WAYS. A sheet of its own, or of a dialog."""
    invitation = find(request, public_id)
    sharing.refuse_what_is_over(invitation)
    way = request.GET.get("as", "")
    if way not in WAYS:
        raise Http404
    context = page_context(request, invitation)
    language = context["message"].language
    context |= {"spoken": spelling.spoken(language), "sounds": spelling.spelled(invitation.code, language)}
    return remembered(request, render(request, WAYS[way], context), language)


def page_context(request: SignedInRequest, invitation: Invitation) -> dict[str, Any]:
    row: Row = row_for(request, invitation)
    shared = share_context(request, invitation, by=request.user, policy=policy_of(request))
    return shared | {"invitation": invitation, "row": row, "viewer": request.user, "form_token": new_token()}


def remembered(request: SignedInRequest, response: HttpResponse, language: str) -> HttpResponse:
    if "language" in request.GET:
        remember(response, language)
    return response


@require_http_methods(["GET", "POST"])
@require(roles.SEE_CODES)
def mail(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Send link and code to one address, after a look at what will be sent."""
    invitation = find(request, public_id)
    sharing.refuse_what_is_over(invitation)
    known = messages.texts()
    if request.method == "GET":
        language = messages.offered(language_of(request), known)
        initial = {"to": address_again(request, invitation), "language": language, "token": new_token()}
        return mail_page(request, invitation, MailForm(initial=initial, languages=list(known)))
    form = MailForm(request.POST, languages=list(known))
    if form.is_valid() and "preview" not in request.POST:
        return send(request, invitation, form)
    return mail_page(request, invitation, form)


def address_again(request: SignedInRequest, invitation: Invitation) -> str:
    """Return the address of an earlier mail, to send it once more."""
    line = invitation.entries.filter(kind=Entry.Kind.SHARED, pk=whole(request.GET.get("again", ""))).first()
    return line.detail if line else ""


def whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def mail_page(request: SignedInRequest, invitation: Invitation, form: MailForm) -> HttpResponse:
    """Show form and preview. A preview is no try to send: it leaves what is missing unsaid."""
    is_preview = "preview" in request.POST
    if is_preview:
        form.errors.pop("to", None)
    context = mail_context(request, invitation, form)
    status = HTTPStatus.OK if is_preview or not form.is_bound else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "invitations/mail.html", context, status=status)


def mail_context(request: SignedInRequest, invitation: Invitation, form: MailForm) -> dict[str, Any]:
    typed = getattr(form, "cleaned_data", {}) if form.is_bound else form.initial
    language = typed.get("language") or DEFAULT
    message = messages.message_for(
        invitation, by=request.user, policy=policy_of(request), language=language, line=typed.get("line", "")
    )
    return {
        "invitation": invitation,
        "form": form,
        "message": message,
        "mails": [line for line in timeline(invitation, may_see_addresses=True) if line.kind == Entry.Kind.SHARED],
        "can_mail": bool(settings.MAILERS),
    }


def send(request: SignedInRequest, invitation: Invitation, form: MailForm) -> HttpResponse:
    request.form_page = ("invitations/mail.html", mail_context(request, invitation, form))  # type: ignore[attr-defined]
    typed = form.cleaned_data
    before = sharing.mail(
        invitation=invitation,
        by=request.user,
        to=typed["to"],
        language=typed["language"],
        line=typed["line"],
        token=sound(typed["token"]),
    )
    notices.success(request, told(typed["to"], before))
    response = redirect("invitation", public_id=invitation.public_id)
    remember(response, typed["language"])
    return response


def told(to: str, before: Entry | None) -> str:
    said = _("The e-mail to %(address)s is on its way to the mail server.") % {"address": to}
    if before is None:
        return said
    now = timezone.now()
    time = timesince(before.at, now, depth=1) if now - before.at >= timedelta(minutes=1) else _("less than a minute")
    ago = _("One was sent to the same address %(time)s ago.") % {"time": time}
    return f"{said} {ago}"
