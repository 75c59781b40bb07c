"""Devices on which a person has signed in before, by a cookie: no stranger's guesses keep them out there.

The cookie lets nobody in. It says that this browser has completed a sign-in of that person, second factor included,
and so has a counter of its own. A change of the password ends it.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from portal.accounts import factors, tries
from portal.accounts.models import User
from portal.accounts.tries import Counter

COOKIE = f"{settings.COOKIE_PREFIX}known"
SALT = "portal.accounts.devices"
SECONDS = 90 * 24 * 60 * 60
PEOPLE = 8  # who share a device


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Know the device from now on, once the person has shown all that is demanded of them."""
    if factors.is_demanded(user) and not factors.is_strong(request):
        return
    known = entries(request)
    device = known.pop(str(user.pk), [secrets.token_urlsafe(16)])[0]
    known[str(user.pk)] = [device, stamp(user)]
    value = signing.dumps(dict(list(known.items())[-PEOPLE:]), salt=SALT)
    response.set_cookie(COOKIE, value, SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Strict")


def entries(request: HttpRequest) -> dict[str, list[str]]:
    """Return device and stamp by person, as far as the cookie is ours and not too old."""
    try:
        found: dict[str, list[str]] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=SECONDS)
    except signing.BadSignature:
        return {}
    return found


def stamp(user: User) -> str:
    """Return what changes with the password."""
    return user.get_session_auth_hash()[:16]


def device_of(request: HttpRequest, user: User) -> str:
    """Return the name of the device if it is known as that person's, or nothing."""
    device, told = entries(request).get(str(user.pk), ["", ""])
    return device if device and secrets.compare_digest(told, stamp(user)) else ""


def device_of_name(request: HttpRequest, name: str) -> str:
    """Return the name of the device if it is known as that of whoever has this user name or address, or nothing.

    People are looked up only where the cookie names them, so strangers learn nothing from how long it takes.
    """
    known, wanted = entries(request), tries.folded(name)
    for user in User.objects.filter(pk__in=known) if known else ():
        if wanted in (tries.folded(user.username), tries.folded(user.email)):
            return device_of(request, user)
    return ""


def of_sign_in(request: HttpRequest, name: str) -> list[Counter]:
    """Return what a sign-in counts for: the device's own counter where it is known, else network and name."""
    device = device_of_name(request, name)
    return [tries.counter(tries.SIGN_IN_DEVICE, device)] if device else tries.of_sign_in(request, name)


def of_reset(request: HttpRequest, address: str) -> list[Counter]:
    """Return what a request for a reset counts for; nobody elsewhere can use up those of a known device."""
    device = device_of_name(request, address)
    return [tries.counter(tries.RESET_ADDRESS, device)] if device else tries.of_reset(request, address)


def of_second_step(request: HttpRequest, user: Any) -> list[Counter]:
    """Return what a second step counts for: one counter of the person, whatever way they try; known devices aside."""
    device = device_of(request, user)
    if device:
        return [tries.counter(tries.SECOND_STEP_DEVICE, device)]
    return [tries.counter(tries.SECOND_STEP, str(user.pk))]
