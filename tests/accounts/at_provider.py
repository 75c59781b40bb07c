"""What a person does who comes by single sign-on: to the provider, back, and in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from portal.audit.models import Event
from tests.conftest import Browser

START, BACK = "/accounts/single-sign-on/", "/accounts/single-sign-on/callback/"
CONNECT, DISCONNECT = f"{START}connect/", f"{START}disconnect/"
CONFIRM = f"{START}confirm/"


def go(browser: Browser, path: str = START) -> str:
    """Begin a sign-in and return where the provider sends the browser back to."""
    answer = browser.get(path)
    assert answer.status_code == 302, answer.content
    return back_from(answer.headers["Location"])


def back_from(address: str) -> str:
    answer = requests.get(address, allow_redirects=False, timeout=5)
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"https://testserver{BACK}"
    return f"{parts.path}?{parts.query}"


def come(browser: Browser, path: str = START) -> Any:
    return browser.get(go(browser, path))


def is_in(browser: Browser) -> bool:
    return "_auth_user_id" in browser.session


def last(kind: str) -> Event:
    return Event.objects.filter(kind=kind).latest("seq")


def connect(browser: Browser) -> Any:
    answer = browser.post(CONNECT)
    assert answer.status_code == 200
    return browser.get(back_from(answer.headers["Refresh"].removeprefix("0; url=")))
