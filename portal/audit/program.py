"""The portal as a program, in its own log: that it started, with which settings, and that it stopped."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any

from django.conf import settings

from portal import audit
from portal.audit import checkpoints
from portal.audit.kinds import Result
from portal.audit.models import Standing
from portal.audit.origin import keyed_tag
from portal.getscreen.types import Secret

logger = logging.getLogger(__name__)

KEY = "SECRET_KEY"
# Parts of the names of settings whose values can hold a secret: of those no plain digest is kept either.
COULD_BE_SECRET = re.compile(r"KEY|SECRET|PASS|TOKEN|URL|PROXY|DATABASE|MAIL|CACHE")
NOT_OURS = {"RELEASE"}  # every event says it


def started() -> None:
    """Record that the program has started, and which settings differ from the last start. Raises Unavailable."""
    with audit.writing():
        audit.record("system.started", result=Result.OK)
        before, now = Standing.load().settings_digests, digests()
        names = changed(before, now)
        if names:
            audit.record("system.configured", result=Result.OK, facts={"names": names})
        if before != now:
            Standing.note(settings_digests=now)


def stopped() -> None:
    """Record a clean end and sign what the log adds up to. Never raises: the program ends anyway."""
    try:
        audit.record("system.stopped", result=Result.OK)
        checkpoints.seal()
    except Exception:
        logger.exception("The end of the program could not be recorded")


def digests() -> dict[str, str]:
    """Return a digest of each setting's value, by name."""
    names = [name for name in dir(settings) if name.isupper() and settings.is_overridden(name)]  # type: ignore[misc]
    return {name: digest(name, shown(getattr(settings, name))) for name in names if name not in NOT_OURS}


def digest(name: str, value: str) -> str:
    """Return what tells one value of a setting from another. With the secret key as its key where that is needed."""
    if name == KEY or COULD_BE_SECRET.search(name):
        return keyed_tag("settings", f"{name}\n{value}")
    return hashlib.sha256(f"{name}\n{value}".encode()).hexdigest()[:16]


def shown(value: Any) -> str:
    """Return a value as text that differs when the value does, secrets included."""
    if isinstance(value, Secret):
        return value.reveal()
    return repr(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the names whose digests differ; none at the first start.

    With a new secret key the keyed digests of the others cannot be compared, so it alone is named of these.
    """
    if not before:
        return []
    is_rekeyed = before.get(KEY) != now.get(KEY)
    different = (name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name))
    return [name for name in different if name == KEY or not (is_rekeyed and COULD_BE_SECRET.search(name))]
