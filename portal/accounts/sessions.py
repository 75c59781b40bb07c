"""Ending what a person has open elsewhere, when their password changes or their account is disabled."""

from __future__ import annotations

from typing import Any

from portal import audit
from portal.accounts.models import Session, User
from portal.audit.kinds import Result


def end_others(user: User, *, by: Any = None, but: str | None = None) -> int:
    """Remove the person's sessions except the one with the key `but`; record and return how many there were.

    Inside the caller's transaction. Without it they would only be asleep: enabling the account again,
    or setting the old password again, would wake them.
    """
    count, _ = Session.objects.filter(user=user).exclude(session_key=but or "").delete()
    if count:
        audit.record(
            "session.ended",
            result=Result.OK,
            actor=by,
            target_type="user",
            target_id=str(user.pk),
            target_label=user.username,
            facts={"count": count},
        )
    return count
