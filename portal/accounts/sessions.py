"""Ending what a person has open elsewhere, when their password changes or their account is disabled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone

from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result


def end_others(user: User, *, by: Any = None, but: str | None = None) -> int:
    """Remove the person's sessions except the one with the key `but`; record and return how many there were.

    Inside the caller's transaction. Without it they would only be asleep: enabling the account again,
    or setting the old password again, would wake them.
    """
    keys = [session.session_key for session in sessions_of(user) if session.session_key != but]
    Session.objects.filter(session_key__in=keys).delete()
    if keys:
        audit.record(
            "session.ended",
            result=Result.OK,
            actor=by,
            target_type="user",
            target_id=str(user.pk),
            target_label=user.username,
            facts={"count": len(keys)},
        )
    return len(keys)


def sessions_of(user: User) -> Iterator[Session]:
    """Read every session that has not expired: whose it is stands inside."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if str(session.get_decoded().get(SESSION_KEY, "")) == str(user.pk):
            yield session
