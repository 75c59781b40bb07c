"""One upstream `list` per interval becomes local rows: what every board shows.

A round asks outside any transaction and writes in one. Only a good list changes rows; whatever
goes wrong is kept as the snapshot's trouble with its time. Knows nothing of requests or people.
"""

from __future__ import annotations

import logging
import random
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from invitations import adoption, observations, operations
from invitations.models import NAME_LENGTH, Entry, Invitation, Operation, Snapshot
from portal import audit
from portal.audit.kinds import Result
from portal.getscreen.client import Client
from portal.getscreen.errors import (
    BadRequest,
    GetscreenError,
    KeyRejected,
    Malformed,
    NotFound,
    QuotaExhausted,
    Unavailable,
)
from portal.getscreen.types import Listing, RemoteInvitation
from portal.getscreen.types import Status as RemoteStatus

logger = logging.getLogger(__name__)

CONFIRM_PER_ROUND = 5
CONFIRM_WITHIN = timedelta(seconds=8)  # after which no further confirmation begins
UNKNOWN_ID = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.GONE)  # what may say "no such invitation"
PAUSE_ON_QUOTA = timedelta(seconds=60)
Trouble = Snapshot.Trouble
TROUBLES: tuple[tuple[type[GetscreenError], Trouble], ...] = (
    (QuotaExhausted, Trouble.QUOTA),
    (KeyRejected, Trouble.KEY),
    (NotFound, Trouble.ADDRESS),
    (BadRequest, Trouble.GARBLED),
    (Malformed, Trouble.GARBLED),
    (Unavailable, Trouble.UNREACHABLE),
)


WRITTEN = [
    "revision",
    "remaining",
    "trouble",
    "dropped",
    "trouble_since",
    "pause_until",
    "account",
    "good_at",
    "attempted_at",
]  # not the lease, which another watcher may take meanwhile


class Lease:
    """The right to call the vendor, held by one watcher at a time and kept on the database's clock."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.length = timedelta(seconds=settings.POLL_SECONDS * 2 + 12)  # longer than any one call

    def take(self) -> bool:
        """Take or keep the lease; say whether we hold it."""
        Snapshot.load()
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now()) | Q(lease_token=self.token)
        held = Snapshot.objects.filter(free, pk=1).update(lease_token=self.token, lease_until=Now() + self.length)
        return bool(held)

    def release(self) -> None:
        Snapshot.objects.filter(pk=1, lease_token=self.token).update(lease_until=None, lease_token="")


def run_round(client: Client, *, lease: Lease | None = None) -> bool:
    """Ask once and write what came back. Returns whether the list was good and is written.

    With a `lease` it is renewed before each further call, and the result is dropped once it is lost.
    """
    began = timezone.now()
    try:
        listing = client.list()
    except GetscreenError as error:
        keep_trouble(error, account=client.fingerprint, at=began, lease=lease)
        return False
    gone = confirm_vanished(client, listing, began, lease)
    with audit.writing():
        snapshot = Snapshot.objects.select_for_update().get_or_create(pk=1)[0]
        if lease is not None and snapshot.lease_token != lease.token:
            return False
        write(snapshot, client, listing, gone, began)
    return True


def write(snapshot: Snapshot, client: Client, listing: Listing, gone: list[Invitation], began: datetime) -> None:
    """Reconcile rows and snapshot. Inside the round's transaction."""
    precision = seen_within(snapshot, began)
    changed = adopt_lost_creates(client.fingerprint, listing)
    changed |= upsert(client.fingerprint, listing, began, precision)
    changed |= close_vanished(gone, began, precision)
    visible = (snapshot.remaining, snapshot.trouble, snapshot.dropped > 0, snapshot.account)
    if snapshot.trouble not in ("", Trouble.STARTING):
        audit.record("vendor.recovered", result=Result.OK, data={"after": snapshot.trouble})
    snapshot.remaining, snapshot.trouble, snapshot.dropped = listing.remaining, Trouble.NONE, listing.dropped
    snapshot.trouble_since = snapshot.pause_until = None
    snapshot.account = client.fingerprint
    snapshot.good_at, snapshot.attempted_at = began, began
    if changed or visible != (snapshot.remaining, snapshot.trouble, snapshot.dropped > 0, snapshot.account):
        snapshot.revision += 1
    snapshot.save(update_fields=WRITTEN)


def seen_within(snapshot: Snapshot, began: datetime) -> int:
    """Return the seconds since the previous good look: how precise "first seen" is."""
    if snapshot.good_at is None:
        return int(settings.POLL_SECONDS)
    return max(1, round((began - snapshot.good_at).total_seconds()))


def adopt_lost_creates(account: str, listing: Listing) -> bool:
    lost = list(adoption.unsettled_creates(account).filter(state=Operation.State.UNKNOWN))
    return any([adoption.adopt(op, listing) is not None for op in lost])  # noqa: C419  # every one, not the first


def upsert(account: str, listing: Listing, began: datetime, precision: int) -> bool:
    rows = known_rows(account, listing)
    hold_back = adoption.is_create_in_flight(account)
    changed = False
    for remote in listing.invitations:
        row = rows.get(remote.id)
        if row is None:
            if not hold_back:
                add_external(remote, account=account, at=began, precision=precision)
                changed = True
        elif row.changed_at <= began:
            changed |= observations.apply(row, remote, at=began, precision=precision)
    return changed


def known_rows(account: str, listing: Listing) -> dict[int, Invitation]:
    """Return our rows of the listed ids, in batches that fit into a query of either database."""
    ids = [remote.id for remote in listing.invitations]
    rows: dict[int, Invitation] = {}
    for start in range(0, len(ids), 500):
        batch = Invitation.objects.of_account(account).filter(vendor_id__in=ids[start : start + 500])
        rows.update({row.vendor_id: row for row in batch})
    return rows


def add_external(remote: RemoteInvitation, *, account: str, at: datetime, precision: int) -> None:
    """Store an invitation that was made outside the portal."""
    row = observations.new_row(remote, account=account, at=at)
    row.is_external = True
    row.client_name = remote.client_name[:NAME_LENGTH]
    row.save()
    observations.note(row, Entry.Kind.FOUND, at=at, precision=precision)
    observations.apply(row, remote, at=at, precision=precision)


def confirm_vanished(client: Client, listing: Listing, began: datetime, lease: Lease | None) -> list[Invitation]:
    """Return rows that left the list and are closed beyond doubt: `info` says so, or refuses their id.

    A few per round, chosen anew each time, so that some that cannot be confirmed never block the rest;
    and only as long as the round stays short and the lease ours.
    """
    present = {remote.id for remote in listing.invitations}
    open_rows = Invitation.objects.of_account(client.fingerprint).open().filter(changed_at__lt=began)
    missing = [row for row in open_rows if row.vendor_id not in present]
    gone: list[Invitation] = []
    for row in random.sample(missing, min(CONFIRM_PER_ROUND, len(missing))):
        if timezone.now() - began > CONFIRM_WITHIN or (lease is not None and not lease.take()):
            break
        if is_closed(client, row, is_whole=not listing.dropped):
            gone.append(row)
    return gone


def is_closed(client: Client, row: Invitation, *, is_whole: bool) -> bool:
    try:
        return client.info(row.vendor_id).status == RemoteStatus.CLOSED
    except BadRequest as refusal:
        return is_whole and refusal.status in UNKNOWN_ID
    except GetscreenError:
        return False


def close_vanished(gone: list[Invitation], began: datetime, precision: int) -> bool:
    changed = False
    for row in gone:
        fresh = Invitation.objects.select_for_update().get(pk=row.pk)
        if fresh.is_open and fresh.changed_at < began:
            observations.close(fresh, at=began, precision=precision)
            changed = True
    return changed


def keep_trouble(error: GetscreenError, *, account: str, at: datetime, lease: Lease | None) -> None:
    """Keep the last good rows and say since when, and why, they are not refreshed."""
    trouble = next(name for kind, name in TROUBLES if isinstance(error, kind))
    with audit.writing():
        snapshot = Snapshot.objects.select_for_update().get_or_create(pk=1)[0]
        if lease is not None and snapshot.lease_token != lease.token:
            return
        changes: dict[str, Any] = {"attempted_at": at, "pause_until": pause(error, at), "account": account}
        if snapshot.trouble != trouble:
            changes |= {"trouble": trouble, "trouble_since": snapshot.trouble_since or at}
            changes["revision"] = F("revision") + 1
            audit.record("vendor.trouble", result=Result.FAILED, data=operations.facts_of(error))
            logger.warning("The list of invitations is not refreshed: %s", error)
        Snapshot.objects.filter(pk=1).update(**changes)


def pause(error: GetscreenError, at: datetime) -> datetime | None:
    """Return until when not to ask again: a minute for a used-up plan, as told for a rate limit."""
    if isinstance(error, QuotaExhausted):
        return at + PAUSE_ON_QUOTA
    if error.retry_after:
        return at + timedelta(seconds=error.retry_after)
    return None
