"""German on the pages of signing in, of one's own account and for clients; every other page is English.

A page is German only where all of it is (docs/decisions/0019). Only the browser's Accept-Language chooses: no
cookie, nothing to keep about a person. A client, whose browser may be somebody else's, can ask by the address as well.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import get_supported_language_variant, parse_accept_lang_header

CLIENTS = ("/join/", "/j/")
TRANSLATED = ("/accounts/", *CLIENTS)
ASKED = "lang"  # of a client's address


class Language:
    """Choose the language of each answer, and give the thread's own back afterwards.

    What polls share is rendered once for many people: those answers are English and do not vary.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.translated = translated(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(TRANSLATED):
            return self.translated(request)
        with untranslated():
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", settings.LANGUAGE_CODE)
        return response


def translated[R: HttpResponseBase](view: Callable[..., R]) -> Callable[..., R]:
    """Answer in the language that the browser asks for: for views whose whole page is translated."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> R:
        language = wanted_by(request)
        with translation.override(language):
            response = view(request, *args, **kwargs)
        response.headers["Content-Language"] = language
        patch_vary_headers(response, ["Accept-Language"])
        return response

    return answer


def untranslated() -> translation.override:
    """The language of all other pages: for what is written here and read there."""
    return translation.override(settings.LANGUAGE_CODE)


def wanted_by(request: HttpRequest) -> str:
    """Return what a client's address asks for, or the first of the browser's languages that is one of ours."""
    if asked := asked_by(request):
        return asked
    for wanted, quality in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        if wanted == "*" or not quality:
            break
        with suppress(LookupError):
            return get_supported_language_variant(wanted)
    return settings.LANGUAGE_CODE


def asked_by(request: HttpRequest) -> str:
    """Return the language of ours that a client's address asks for, or nothing."""
    asked = request.GET.get(ASKED, "") if request.path_info.startswith(CLIENTS) else ""
    return asked if asked in dict(settings.LANGUAGES) else ""
