"""What a page needs to share an invitation in a language, which the browser remembers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from invitations import messages
from invitations.message_texts import DEFAULT, LANGUAGES, SHEETS
from invitations.models import Invitation, Policy
from portal.accounts.models import User

COOKIE = f"{settings.COOKIE_PREFIX}message_language"
COOKIE_SECONDS = 365 * 24 * 60 * 60


def language_of(request: HttpRequest) -> str:
    """Return the language that is asked for, or was chosen last in this browser."""
    wanted = request.GET.get("language") or request.COOKIES.get(COOKIE, "")
    return wanted if wanted in LANGUAGES else DEFAULT


def remember(response: HttpResponse, language: str) -> None:
    """Have the browser keep the language for the next message."""
    response.set_cookie(
        COOKIE,
        language,
        COOKIE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def share_context(request: HttpRequest, invitation: Invitation, *, by: User, policy: Policy) -> dict[str, Any]:
    known = messages.texts()
    language = messages.offered(language_of(request), known)
    return {
        "languages": [(code, LANGUAGES[code].name) for code in known],
        "message": messages.message_for(invitation, by=by, policy=policy, language=language, text=known[language]),
        "sheet": SHEETS.get(language),
        "can_mail": bool(settings.MAILERS),
    }
