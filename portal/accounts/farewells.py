"""Why a session is no more, for the browser that comes back with it.

The session itself is gone when somebody ends it. What is left for a day is one word under a name that is made from its
key: whoever holds the key reads it, once, and nobody else learns that there was a session.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from django.core.cache import cache
from django.db import DatabaseError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.audit import origin

REMEMBERED = timedelta(days=1)
# What was ended by whom is the log's business; that an account was disabled is told to whoever proves to own it.
BY_ADMINISTRATOR = _("An administrator has signed you out.")
WORDS: dict[str, Promise] = {
    "roles": _("Your roles have changed, so you were signed out."),
    "password": _("Your password was changed, so you were signed out. Was it not you? Tell your administrator."),
    "factor": _("Your second step was changed, so you were signed out. Was it not you? Tell your administrator."),
    "provider": _(
        "Single sign-on was changed for you, so you were signed out. Was it not you? Tell your administrator."
    ),
    "person": _("This session was ended from another one of yours. Was it not you? Tell your administrator."),
    "administrator": BY_ADMINISTRATOR,
    "disabled": BY_ADMINISTRATOR,
    "command": BY_ADMINISTRATOR,
    "everybody": _("An administrator has signed everybody out."),
}


def leave(keys: set[str], reason: str) -> None:
    """Keep the reason for each of the sessions with these keys, which are ended in the caller's transaction."""
    cache.set_many({name(key): reason for key in keys}, REMEMBERED.total_seconds())


def take(key: str) -> str:
    """Return the reason why the session with that key was ended, and forget it; "" where none is known."""
    with suppress(DatabaseError):  # a page can be read while nothing can be written
        reason = cache.get(name(key), "")
        if reason and cache.delete(name(key)):
            return str(reason)
    return ""


def name(key: str) -> str:
    return f"farewell:{origin.keyed_tag('farewell', key)}"
