"""The record around every remote change: intent committed before the call, outcome after it.

    1 authorise   2 COMMIT intent   3 call the vendor   4 COMMIT outcome   5 answer the browser

Whatever raises in 3 leaves an outcome: failed if the vendor certainly did nothing, else unknown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from django.db import IntegrityError
from django.utils import timezone

from invitations import limits, recipients
from invitations.models import Invitation, Operation, Snapshot
from invitations.refusals import ActionRefused, SentTwice, UnderWay
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Phase, Result
from portal.getscreen.errors import UNTRUSTED_LINK, GetscreenError, Unavailable

State = Operation.State
Told = dict[str, Any]


class Claim(Protocol):
    """What an operation needs for itself on the invitation's row, in the transactions of intent and outcome."""

    def refuse(self) -> ActionRefused | None: ...

    def take(self) -> None: ...

    def give_back(self) -> None: ...


class Unrecorded(audit.Unavailable):
    """The intent is recorded and the vendor may have been called, but how it ended could not be recorded.

    The operation stays open, until recovery makes an unknown one of it and a list settles that.
    """

    def __init__(self, verb: str, reference: str) -> None:
        self.verb, self.reference = verb, reference
        super().__init__("The outcome could not be recorded.")


@contextmanager
def operation(
    verb: str,
    *,
    by: User | None,
    account: str,
    invitation: Invitation | None = None,
    token: str = "",
    claim: Claim | None = None,
    **facts: Any,
) -> Iterator[Operation]:
    """Commit the intent, run the body, and record how it ended unless the body did (`succeed`).

    Raises PermissionDenied if the person sees the invitation no longer, SentTwice for a form token that was used,
    UnderWay while the same person's same operation on the same invitation is still running, LimitReached if the
    policy allows no more now, what the `claim` refuses, Unavailable if the intent cannot be recorded (in none of
    these is the body run) and Unrecorded if the outcome cannot. The claim is taken with the intent, and given back
    with any outcome but success.
    """
    op = begin(verb, by=by, account=account, invitation=invitation, token=token, claim=claim, **facts)
    try:
        with concluding(op, claim):
            yield op
    except (GetscreenError, ActionRefused) as error:
        error.reference = op.reference
        raise
    except audit.Unavailable as error:
        raise Unrecorded(verb, op.reference) from error


@contextmanager
def concluding(op: Operation, claim: Claim | None = None) -> Iterator[None]:
    """Record whatever the body raises as the operation's outcome, and let it pass."""
    end = partial(finish, op, claim=claim)
    try:
        yield
    except GetscreenError as error:
        end(State.UNKNOWN if error.may_have_acted else State.FAILED, up=facts_of(error))
        raise
    except ActionRefused as refusal:
        end(State.FAILED, facts={"refused": refusal.reason}, result=Result.DENIED)
        raise
    except Exception as bug:
        end(State.UNKNOWN, facts={"error": type(bug).__name__})
        raise


def begin(
    verb: str,
    *,
    by: User | None,
    account: str,
    invitation: Invitation | None,
    token: str,
    claim: Claim | None = None,
    **facts: Any,
) -> Operation:
    """Commit the intent. Without a person (`by`) it is the portal's own."""
    _roles = by and by.role_names  # for the event: read and kept before others have to wait for us
    try:
        with audit.writing(durable=True):
            if invitation is not None:
                refuse_while_running(verb, by=by, invitation=invitation)
                if by is not None:
                    recipients.refuse_lost(by, invitation)
            about = {"verb": verb, "by": by, "invitation": invitation, "token": token[:64]}
            refusal = (claim.refuse() if claim else None) or limits.take(verb, by=by, invitation=invitation)
            if refusal is None:
                op = Operation.objects.create(reference=audit.new_reference(), account=account, **about, **facts)
                if claim is not None:
                    claim.take()
                told = {"phase": Phase.INTENT, "actor": by, "up": {"key": account}, "facts": belongs_to(op)}
                audit.record(f"invitation.{verb}", **told, **described(op))
            elif token and Operation.objects.filter(**about).exists():
                raise SentTwice(invitation)  # the first sending took the last place: this one shows what it made
    except IntegrityError:
        raise SentTwice(invitation) from None
    if refusal is not None:  # only now: the event about it had to be committed
        raise refusal
    op.called_at = time.monotonic()
    return op


def refuse_while_running(verb: str, *, by: User | None, invitation: Invitation) -> None:
    """Raise UnderWay if this person's (or the portal's) same operation runs already. Locks the invitation's row."""
    Invitation.objects.select_for_update().filter(pk=invitation.pk).values_list("pk").first()
    if Operation.objects.running().filter(verb=verb, by=by, invitation=invitation).exists():
        raise UnderWay(invitation)


def described(op: Operation) -> dict[str, Any]:
    """Return what an operation's events share: its reference, its target, and what somebody typed."""
    typed = {
        "ticket": op.ticket,
        "reason": op.reason,
        "note": op.note,
        "name": op.client_name if op.verb == "rename" else "",
    }
    if op.team is not None:
        typed["team"] = op.team.name
    if op.invitation is None:
        about: dict[str, Any] = {"target_type": "invitation", "target_label": op.client_name, "details": typed}
    else:
        about = targeted(op.invitation, **{name: text for name, text in typed.items() if text})
    return about | {"reference": op.reference}


def belongs_to(op: Operation) -> Told:
    """Return what an intent to create says for ever of who will see the invitation, where not everybody does."""
    return {name: value for name, value in {"team": op.team_id, "private": op.is_private}.items() if value}


def targeted(invitation: Invitation, **details: Any) -> dict[str, Any]:
    """Return the facts by which an event names an invitation: its code by its end, its words as details."""
    return {
        "target_type": "invitation",
        "target_id": invitation.public_id,
        "target_label": invitation.client_name,
        "details": {"ticket": invitation.ticket, "code": invitation.masked_code} | details,
    }


def facts_of(error: GetscreenError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "method": error.operation,
        "status": error.status,
        "reason": error.reason,
    }


def succeed(op: Operation, *, phase: str = Phase.OUTCOME, up: Told | None = None, facts: Told | None = None) -> None:
    """Record success as the last statement of the caller's transaction, beside the row it changed."""
    close(op, State.OK, result=Result.OK, phase=phase, up=up, facts=facts)


def finish(
    op: Operation,
    state: State,
    *,
    result: str = "",
    up: Told | None = None,
    facts: Told | None = None,
    claim: Claim | None = None,
) -> None:
    """Record that it did not succeed, in a transaction of its own, twice tried if the database is busy."""
    try:
        record_failure(op, state, result, up, facts, claim)
    except audit.Unavailable:
        record_failure(op, state, result, up, facts, claim)


def record_failure(
    op: Operation, state: State, result: str, up: Told | None, facts: Told | None, claim: Claim | None
) -> None:
    with audit.writing():
        op.refresh_from_db(fields=["invitation", "team"])  # a row that was rolled back is none; so is a deleted team
        if claim is not None:
            claim.give_back()
        if state == State.FAILED:
            op.token = ""  # nothing happened, so the same form may be sent again
            if (up or {}).get("class") == Unavailable.__name__:
                limits.give_back(op.verb, by=op.by)
        if (up or {}).get("reason") == UNTRUSTED_LINK:
            audit.record("vendor.link_refused", result=Result.DENIED, up=up, **described(op))
        close(op, state, result=result or RESULTS[state], phase=Phase.OUTCOME, up=up, facts=facts)


RESULTS = {State.FAILED: Result.FAILED, State.UNKNOWN: Result.UNKNOWN}


def close(op: Operation, state: State, *, result: str, phase: str, up: Told | None, facts: Told | None) -> None:
    told = {"key": op.account, "ms": op.milliseconds} | (up or {})
    op.state = state
    op.finished_at = timezone.now()
    op.save(update_fields=["state", "finished_at", "token", "invitation"])  # its team may be gone
    if state == State.UNKNOWN or phase == Phase.RECONCILED:
        Snapshot.bump()  # boards show what nobody knows, until it is known
    audit.record(
        f"invitation.{op.verb}", phase=phase, result=result, actor=op.by, up=told, facts=facts, **described(op)
    )


def abandon_interrupted() -> int:
    """Turn operations whose process died into unknown ones; return how many. For start and the watcher."""
    stale = Operation.objects.abandoned().select_related("by", "invitation")
    count = 0
    for op in stale:
        with audit.writing():
            locked = Operation.objects.select_for_update().filter(pk=op.pk, state=State.PENDING).first()
            if locked is not None:
                interrupted = {"error": "interrupted"}
                close(op, State.UNKNOWN, result=Result.UNKNOWN, phase=Phase.RECONCILED, up=None, facts=interrupted)
                count += 1
    if count:
        audit.record("system.recovered", result=Result.OK, facts={"count": count})
    return count
