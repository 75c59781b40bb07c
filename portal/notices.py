"""Where a word for the next page waits: in the session of whoever is signed in, in a cookie only for others.

Django's own choice is a cookie for everybody, under a name that any host of the domain could set. Such words name
clients, which belong into no browser's store.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.messages.storage.base import BaseStorage, Message
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class HostCookie(CookieStorage):
    """Of strangers: "You are signed out." needs no session, which may be what cannot be written."""

    cookie_name = f"{settings.COOKIE_PREFIX}messages"


class Notices(BaseStorage):
    """Read from both places, because signing in and out lies between one page and the next."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.session: Any = SessionStorage(request)
        self.cookie: Any = HostCookie(request)
        super().__init__(request, *args, **kwargs)

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Message], bool]:
        kept = (storage._get()[0] or [] for storage in (self.session, self.cookie))
        return [message for messages in kept for message in messages if isinstance(message, Message)], True

    def _store(self, messages: Any, response: HttpResponseBase, *args: Any, **kwargs: Any) -> list[Message]:
        is_signed_in = SESSION_KEY in self.request.session
        self.session._store(messages if is_signed_in else [], response)
        if not is_signed_in or self.cookie.cookie_name in self.request.COOKIES:
            self.cookie._store([] if is_signed_in else messages, response)
        return []
