"""How often one person may create invitations, connect and mail: what the policy allows, counted per person.

What counts is an operation that begins, in the same transaction as its intent: a form sent twice, a refusal
before it and a person without the right take nothing. What the vendor certainly never got is given back, so
that nobody has to wait for an outage that has ended.
"""

from __future__ import annotations

from invitations.models import Invitation, Policy
from invitations.refusals import LimitReached
from portal import audit
from portal.accounts import tallies
from portal.accounts.models import User
from portal.accounts.tallies import Limit
from portal.audit.kinds import Result

FIXED = {"mail": (30, 60 * 60)}  # no policy: more is no support, but a mailing
FIELDS = {"connect": ("connects_per_ten_minutes", 10 * 60), "create": ("creates_per_hour", 60 * 60)}


def limit_of(verb: str) -> Limit | None:
    """Return what limits operations of that name at this moment, if anything does."""
    if verb in FIXED:
        allowed, seconds = FIXED[verb]
    elif verb in FIELDS:
        field, seconds = FIELDS[verb]
        allowed = getattr(Policy.load(), field)
    else:
        return None
    return Limit(f"invitation.{verb}s", allowed, seconds) if allowed else None


def key_of(verb: str, by: User) -> str:
    return f"invitation:{verb}:{by.pk}"


def take(verb: str, *, by: User | None, invitation: Invitation | None) -> LimitReached | None:
    """Count the operation, or return its refusal. The first one of a window is an event, and no other."""
    limit = limit_of(verb)
    if limit is None or by is None:
        return None
    key = key_of(verb, by)
    taken = tallies.take(key, limit.allowed, limit.seconds)
    if taken.allowed:
        return None
    if tallies.take(f"{key}:told:{limit.allowed}", 1, taken.wait_seconds).allowed:
        audit.record("limit.reached", result=Result.DENIED, actor=by, facts=limit.facts)
    return LimitReached(f"limit_{verb}", taken.wait_seconds, invitation)


def give_back(verb: str, *, by: User | None) -> None:
    """Forget an operation that has not reached the vendor."""
    if by is not None and limit_of(verb) is not None:
        tallies.give_back(key_of(verb, by))
