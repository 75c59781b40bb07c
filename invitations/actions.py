"""What people do with invitations: create, connect, rename, close, look.

Every action checks the person's right, commits an intent, calls the vendor outside any transaction
and commits the row together with the outcome. Raises PermissionDenied, ActionRefused or
GetscreenError; knows no HTTP request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from invitations import adoption, assignment, notes, observations, recipients, teams
from invitations.models import Entry, Invitation, Operation, Policy, Snapshot, Status
from invitations.operations import facts_of, operation, succeed, targeted
from invitations.refusals import (
    AlreadyClosed,
    Mismatch,
    NotCreated,
    NotJoined,
    OtherAccount,
    OutcomeUnknown,
    RecordingNotChosen,
    SentTwice,
    StatusUnknown,
    UnderWay,
)
from invitations.rows import enter, lock, save
from portal import audit
from portal.accounts import roles
from portal.accounts.models import User
from portal.audit.kinds import Result
from portal.audit.origin import keyed_tag
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.errors import GetscreenError, QuotaExhausted
from portal.getscreen.types import ConnectLink, Picture, RemoteInvitation

RECORD = {Policy.Recording.ON: True, Policy.Recording.OFF: False, Policy.Recording.DEFAULT: None}
TWIN_WAIT = 5.0  # seconds a second submit waits for the first one's result
UNFINISHED = {
    Operation.State.PENDING: UnderWay,
    Operation.State.UNKNOWN: OutcomeUnknown,
    Operation.State.FAILED: NotCreated,
    Operation.State.OK: OutcomeUnknown,
}


def may_manage(user: User, invitation: Invitation) -> bool:
    """Say whether `user` may rename and close `invitation`."""
    if user.has_perm(roles.MANAGE_ANY):
        return True
    return user.has_perm(roles.MANAGE_OWN) and invitation.is_owned_by(user)


def may_annotate(user: User) -> bool:
    """Say whether `user` may change notes, tickets and outcomes: whoever works with clients. Each version stays."""
    return any(user.has_perm(right) for right in (roles.CONNECT, roles.MANAGE_OWN, roles.MANAGE_ANY))


def create(
    *,
    by: User,
    client_name: str = "",
    ticket: str = "",
    reason: str = "",
    note: str = "",
    token: str = "",
    team: int | None = None,
    is_private: bool = False,
) -> Invitation:
    """Create an invitation. The same form (`token`) sent twice returns the same invitation.

    It belongs to `team`, one of the person's own, else to their only one or the one they used last.

    A create that may have reached the vendor is never sent again: it is looked for in the list,
    now and by the watcher later.
    """
    if not by.has_perm(roles.CREATE):
        raise PermissionDenied
    client = configured.client()
    if token and (twin := Operation.objects.filter(by=by, verb="create", token=token).first()):
        return result_of(twin)
    notes.check_ticket(ticket=ticket, reason=reason)
    if is_private and not Policy.load().is_private_allowed:
        raise PermissionDenied
    belongs = {"team_id": teams.chosen(by, team), "is_private": is_private}
    refuse_without_quota(by)
    known = list(Invitation.objects.of_account(client.fingerprint).open().values_list("vendor_id", flat=True))
    typed = {"client_name": client_name, "ticket": ticket, "reason": reason, "note": note}
    facts: dict[str, Any] = typed | belongs | {"known_ids": known}
    try:
        with operation("create", by=by, account=client.fingerprint, token=token, **facts) as op:
            return call_create(client, op)
    except SentTwice:
        twin = Operation.objects.filter(by=by, verb="create", token=token).first()
        if twin is None:  # it has failed in this moment
            raise NotCreated from None
        return result_of(twin)


def call_create(client: Client, op: Operation) -> Invitation:
    try:
        remote = client.create(op.client_name)
    except QuotaExhausted as error:
        note_quota(error)
        raise
    except GetscreenError as error:
        adopted = adoption.look_for(client, op) if error.may_have_acted else None
        if adopted is None:
            raise
        return adopted
    with audit.writing():
        invitation = adoption.own(op, remote)
        succeed(op)
    return invitation


def note_quota(error: QuotaExhausted) -> None:
    """Let every board know that the plan is used up, before the next list says so."""
    with audit.writing():
        snapshot = Snapshot.objects.select_for_update().get(pk=1)
        if snapshot.trouble != Snapshot.Trouble.QUOTA:
            snapshot.trouble, snapshot.trouble_since = Snapshot.Trouble.QUOTA, timezone.now()
            snapshot.save(update_fields=["trouble", "trouble_since"])
            Snapshot.bump()
            audit.record("vendor.trouble", result=Result.FAILED, up=facts_of(error))


def refuse_without_quota(by: User) -> None:
    """Raise QuotaExhausted if the last good list said that nothing is left, without asking again."""
    snapshot = Snapshot.load()
    if snapshot.remaining == 0 or snapshot.trouble == Snapshot.Trouble.QUOTA:
        audit.record(
            "invitation.create", result=Result.DENIED, actor=by, target_type="invitation", facts={"refused": "quota"}
        )
        raise QuotaExhausted("support/create", "no sessions left in the plan", status=402)


def result_of(twin: Operation) -> Invitation:
    """Return what an earlier sending of the same form made, waiting while it is under way."""
    deadline = time.monotonic() + TWIN_WAIT
    while twin.state == Operation.State.PENDING and time.monotonic() < deadline:
        time.sleep(0.1)
        twin.refresh_from_db()
    if twin.invitation is not None:
        return twin.invitation
    raise UNFINISHED[Operation.State(twin.state)]


def connect(
    *, invitation: Invitation, by: User, record: bool | None = None, token: str = "", take_over: str = ""
) -> ConnectLink:
    """Return a fresh single-use link after looking at the invitation's state once more.

    `record` is the person's choice and counts only where the policy asks. `take_over` is the key of the
    colleague who has the client, as far as the person knows and wants to take over; without it that is
    refused. If the outcome cannot be committed the link is thrown away with the exception.
    """
    if not by.has_perm(roles.CONNECT):
        raise PermissionDenied
    if not invitation.is_open:
        raise AlreadyClosed(invitation)
    client = client_for(invitation)
    recording = Policy.Recording(Policy.load().recording)
    if recording == Policy.Recording.ASK and record is None:
        raise RecordingNotChosen(invitation)
    wanted = record if recording == Policy.Recording.ASK else RECORD[recording]
    claim = assignment.Connecting(invitation, by, take_over=take_over)
    about: dict[str, Any] = {"account": client.fingerprint, "invitation": invitation}
    with operation("connect", by=by, token=token, claim=claim, **about) as op:
        check_ready(client, invitation)
        link = client.connect(invitation.vendor_id, record=wanted)
        with audit.writing():
            claim.keep()
            if claim.holder_before:
                enter(invitation, Entry.Kind.TAKEN_OVER, by, detail=claim.holder_before)
                details = {"holder": claim.holder_before}
                audit.record("invitation.take_over", result=Result.OK, actor=by, **targeted(invitation, **details))
            enter(invitation, Entry.Kind.CONNECTED, by)
            succeed(op, up={"host": link.host, "link": keyed_tag("link", link.reveal()), "record": wanted})
    return link


def check_ready(client: Client, invitation: Invitation) -> None:
    """Ask for the state just before connecting, keep it, and raise unless a client is there."""
    asked_in = Snapshot.load().revision
    remote = client.info(invitation.vendor_id, before_connect=True)
    if remote.code and invitation.code and remote.code != invitation.code:
        raise Mismatch(invitation)
    take_in(invitation, remote, asked_in)
    if invitation.status == Status.WAITING:
        raise NotJoined(invitation)
    if invitation.status == Status.CLOSED:
        raise AlreadyClosed(invitation)
    if invitation.status == Status.UNKNOWN:
        raise StatusUnknown(invitation)


def take_in(invitation: Invitation, remote: RemoteInvitation, asked_in: int) -> None:
    """Keep what a look that began in revision `asked_in` has found."""
    invitation.refresh_from_db()
    if not observations.differs(invitation, remote):
        return  # as mostly: then nobody has to wait for their turn to write
    with audit.writing():
        # Read afresh: while the vendor thought, a colleague may have connected or closed.
        invitation.refresh_from_db()
        if invitation.changed_in <= asked_in and observations.apply(invitation, remote, at=timezone.now(), precision=1):
            save(invitation)  # a list begun before this look must not undo it


def rename(*, invitation: Invitation, by: User, client_name: str, token: str = "") -> None:
    """Give the invitation another name, at the vendor and here."""
    if not may_manage(by, invitation):
        raise PermissionDenied
    if not invitation.is_open:
        raise AlreadyClosed(invitation)
    client = client_for(invitation)
    before = invitation.client_name
    about: dict[str, Any] = {"account": client.fingerprint, "client_name": client_name}
    with operation("rename", by=by, invitation=invitation, token=token, **about) as op:
        confirmed(
            lambda: client.rename(invitation.vendor_id, client_name),
            lambda: client.info(invitation.vendor_id).client_name == client_name,
        )
        with audit.writing():
            save(invitation, client_name=client_name)
            enter(invitation, Entry.Kind.RENAMED, by, detail=f"{before} → {client_name}")
            succeed(op)


def close(
    *, invitation: Invitation, by: User, outcome: str = "", note: str | None = None, seen: int = 0, token: str = ""
) -> None:
    """Close the invitation. Closing what is closed already is a success.

    The outcome and the note, if they are given, are kept with it; `seen` as in `annotate`.
    """
    if not may_manage(by, invitation):
        raise PermissionDenied
    if not invitation.is_open:
        if outcome or note is not None:
            annotate(invitation=invitation, by=by, outcome=outcome or None, note=note, seen=seen)
        return
    notes.check_outcome(invitation, outcome)
    if note is not None:
        notes.is_new(invitation, text=note, seen=seen)  # or raise, before anything is closed
    client = client_for(invitation)
    with operation("close", by=by, account=client.fingerprint, invitation=invitation, token=token) as op:
        confirmed(
            lambda: client.close(invitation.vendor_id),
            lambda: is_gone(client, invitation),
        )
        with audit.writing():
            before = invitation.note
            lock(invitation)  # with the note as it is by now
            changes: dict[str, Any] = {"status": Status.CLOSED, "closed_at": timezone.now()}
            if note is not None and note != before:
                # Closed is closed: words that somebody wrote while Getscreen thought stay as a version.
                notes.revise(invitation, text=note, by=by, seen=notes.version(invitation))
                changes["note"] = note
            if outcome:
                changes["outcome"] = outcome
            save(invitation, **changes)
            enter(invitation, Entry.Kind.CLOSED, by, detail=outcome)
            succeed(op, facts={"outcome": outcome} if outcome else None)


def annotate(
    *,
    invitation: Invitation,
    by: User,
    note: str | None = None,
    seen: int = 0,
    ticket: str | None = None,
    reason: str | None = None,
    outcome: str | None = None,
) -> None:
    """Keep a new note, ticket, reason or outcome; None leaves it as it is.

    `seen` is the version of the note that the person has read. Raises NoteChanged if there is a newer one.
    """
    if not may_annotate(by):
        raise PermissionDenied
    if ticket is not None and (ticket != invitation.ticket or reason not in (None, invitation.reason)):
        notes.check_ticket(ticket=ticket, reason=invitation.reason if reason is None else reason)
    with audit.writing():
        lock(invitation)
        recipients.refuse_lost(by, invitation)
        wanted = {"ticket": ticket, "reason": reason, "outcome": outcome}
        changes = {name: to for name, to in wanted.items() if to is not None and to != getattr(invitation, name)}
        words = [text for text in changes.values() if text]
        if note is not None and notes.revise(invitation, text=note, by=by, seen=seen):
            changes["note"] = note
        if changes:
            save(invitation, **changes)
            enter(invitation, Entry.Kind.NOTED, by, detail=" · ".join(words))
            about = targeted(invitation, **changes)
            audit.record("invitation.noted", result=Result.OK, actor=by, facts={"fields": sorted(changes)}, **about)


def is_gone(client: Client, invitation: Invitation) -> bool:
    """Say whether a whole list no longer has it."""
    listing = client.list()
    return not listing.dropped and invitation.vendor_id not in {remote.id for remote in listing.invitations}


def confirmed(call: Callable[[], None], happened: Callable[[], bool]) -> None:
    """Run `call`; where it may have worked without saying so, look whether it did before failing."""
    try:
        call()
    except GetscreenError as error:
        if not error.may_have_acted:
            raise
        try:
            if happened():
                return
        except GetscreenError:
            pass
        raise


def client_for(invitation: Invitation) -> Client:
    """Return the client, or raise OtherAccount if another API key made the invitation."""
    client = configured.client()
    if invitation.account != client.fingerprint:
        raise OtherAccount(invitation)
    return client


def look(*, invitation: Invitation, by: User) -> Picture:
    """Return the current preview of the client's desktop; each look is an event, or does not happen."""
    if not by.has_perm(roles.SEE_CODES) or Policy.load().previews == Policy.Previews.OFF:
        raise PermissionDenied
    client = client_for(invitation)
    audit.ensure_writable()
    try:
        remote: RemoteInvitation = client.info(invitation.vendor_id)
        picture = client.preview(remote.preview_url)
    except GetscreenError as error:
        up = facts_of(error)
        audit.record("invitation.preview", result=Result.FAILED, actor=by, up=up, **targeted(invitation))
        raise
    audit.record("invitation.preview", result=Result.OK, actor=by, **targeted(invitation))
    return picture


def reveal(*, invitation: Invitation, by: User, what: str) -> None:
    """Record that the person has copied `what` of the invitation, or was shown its QR code."""
    if not by.has_perm(roles.SEE_CODES):
        raise PermissionDenied
    if what == "qr":
        audit.record("invitation.qr", result=Result.OK, actor=by, **targeted(invitation))
    else:
        audit.record("invitation.revealed", result=Result.OK, actor=by, facts={"what": what}, **targeted(invitation))
