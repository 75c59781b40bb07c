"""Whoever has just done something sees it: for a moment their browser says so, and is given boards as of now.

In a rush boards rest (`invitations.fragments`). The page of an action is always of now, but others are open beside it:
Connect leaves the board where it was, and one may go back to it. The cookie says nothing but that it is there.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

COOKIE = f"{settings.COOKIE_PREFIX}acted"
SECONDS = 3  # longer than any board rests


class RememberOwnActions:
    """Set the cookie with each answer to a form of somebody signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method == "POST" and request.user.is_authenticated:
            response.set_cookie(
                COOKIE, "1", SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
            )
        return response


def has_acted(request: HttpRequest) -> bool:
    return COOKIE in request.COOKIES
