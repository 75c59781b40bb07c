"""One upstream `list` per interval becomes local rows: what every board shows.

A round asks outside any transaction and writes in one. Only a good list changes rows; whatever
goes wrong is kept as the snapshot's trouble with its time. Knows nothing of requests or people.
"""

from __future__ import annotations

import logging
import math
import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from invitations import adoption, expiry, long_sessions, observations, operations, rhythm, settling, urgency
from invitations.models import (
    CONNECTING_FOR,
    EXPIRES_SOON,
    LATE_AFTER,
    NAME_LENGTH,
    RECENTLY_CLOSED,
    UNSETTLED_ON_BOARD,
    Entry,
    Invitation,
    Operation,
    Snapshot,
    Status,
)
from portal import audit
from portal.audit.kinds import Result
from portal.getscreen.client import NOT_ASKED, Client
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
CONFIRM_WITHIN = 8.0  # seconds after which no further confirmation begins
UNKNOWN_ID = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.GONE)  # what may say "no such invitation"
MOST = 2**31 - 1  # that a column of PostgreSQL holds
LONGEST_OWN_PAUSE = timedelta(seconds=60)
Trouble = Snapshot.Trouble
TROUBLES: tuple[tuple[type[GetscreenError], Trouble], ...] = (
    (QuotaExhausted, Trouble.QUOTA),
    (KeyRejected, Trouble.KEY),
    (NotFound, Trouble.ADDRESS),
    (BadRequest, Trouble.GARBLED),
    (Malformed, Trouble.GARBLED),
    (Unavailable, Trouble.UNREACHABLE),
)


# Not the revision, which moves by itself, nor the lease, which another watcher may take meanwhile.
WRITTEN = ["remaining", "trouble", "dropped", "trouble_since", "pause_until", "account", "good_at", "attempted_at"]
# Rows written in one transaction, and the seconds before the next: SQLite has no queue, so whoever waits
# for the database gets it only if nobody takes it again at once.
BATCH, BREATH = 200, 0.2


class Lease:
    """The right to call the vendor, held by one watcher at a time and kept on the database's clock.

    It lasts five thirds of an interval and is asked for every third of one, so a dead watcher is
    replaced within two intervals.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.length = rhythm.lease_length()

    def take(self) -> bool:
        """Take or keep the lease; say whether we hold it."""
        Snapshot.load()
        ended = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
        # Further away than any lease is long: the database's clock has gone back.
        ended |= Q(lease_until__gt=Now() + 2 * self.length)
        free = ended | Q(lease_token=self.token)
        held = Snapshot.objects.filter(free, pk=1).update(lease_token=self.token, lease_until=Now() + self.length)
        return bool(held)

    def is_held(self, snapshot: Snapshot) -> bool:
        return snapshot.lease_token == self.token

    def release(self) -> None:
        Snapshot.objects.filter(pk=1, lease_token=self.token).update(lease_until=None, lease_token="")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from another thread as long as the body runs: a call may outlast it."""
        done = threading.Event()

        def renew() -> None:
            has_called = False
            while not done.wait(settings.POLL_SECONDS):
                has_called = True
                close_old_connections()  # one that broke: the next may hold
                try:
                    self.take()
                except DatabaseError:
                    logger.warning("The watcher's lease could not be renewed")
            if has_called:
                connection.close()

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class LeaseLost(Exception):
    """Another watcher has taken over; whatever this round has found is its business no longer."""


@dataclass(frozen=True)
class Round:
    """One look at the vendor: with which key, when, what was known before, and by whose right."""

    client: Client
    lease: Lease | None
    began: datetime
    began_in: int  # the revision then: what a person changed since is newer than the answer
    last: datetime | None  # when the round before began

    @property
    def account(self) -> str:
        return self.client.fingerprint

    @contextmanager
    def writing(self) -> Iterator[Snapshot]:
        """Open a transaction with the snapshot locked. Raises LeaseLost if the lease is not ours any more."""
        with audit.writing():
            snapshot = Snapshot.objects.select_for_update().get_or_create(pk=1)[0]
            # Held again after somebody else's round is as bad: our answer is older than theirs.
            if self.lease is not None and not (self.lease.is_held(snapshot) and snapshot.attempted_at == self.last):
                raise LeaseLost
            yield snapshot


def run_round(client: Client, *, lease: Lease | None = None) -> bool:
    """Ask once and write what came back. Returns whether the list was good and is written.

    With a `lease` the result is dropped once it is lost.
    """
    snapshot = Snapshot.load()
    turn = Round(client, lease, timezone.now(), snapshot.revision, snapshot.attempted_at)
    try:
        try:
            listing = client.list()
        except GetscreenError as error:
            keep_trouble(turn, error)
            return False
        write(turn, listing, confirm_vanished(turn, listing))
    except LeaseLost:
        return False
    expiry.close_due(client, told_at=listing.served_at, is_ours=lambda: lease is None or lease.take())
    return True


def write(turn: Round, listing: Listing, gone: list[Invitation]) -> None:
    """Reconcile rows and snapshot: a few rows at once, long lists in several transactions."""
    precision = seen_within(Snapshot.load(), turn.began)
    offset = adoption.clock_offset(listing)
    news = changed_or_unknown(turn, listing)
    has_changed = False
    if lost_creates(turn.account).exists():
        with turn.writing():
            has_changed = adopt_lost_creates(turn.account, listing)
    while len(news) > BATCH:
        with turn.writing():
            # At once, because this round may never come to its end, and the next finds nothing new in these rows.
            if upsert(turn, news[:BATCH], precision, offset):
                Snapshot.bump()
        news = news[BATCH:]
        time.sleep(BREATH)
    with turn.writing() as snapshot:
        has_changed |= upsert(turn, news, precision, offset)
        has_changed |= close_vanished(turn, gone, precision)
        has_changed |= settling.settle(turn.account, listing, turn.began)
        has_changed |= time_has_passed(snapshot.good_at, turn.began)
        has_changed |= succeed(turn, snapshot, listing)
        if has_changed:
            Snapshot.bump()


def succeed(turn: Round, snapshot: Snapshot, listing: Listing) -> bool:
    """Keep what a good list says of the account, and say whether that is news to a person."""
    before = (snapshot.remaining, snapshot.trouble, snapshot.dropped > 0, snapshot.account)
    if snapshot.trouble not in ("", Trouble.STARTING):
        audit.record("vendor.recovered", result=Result.OK, facts={"after": snapshot.trouble})
        logger.info("The list of invitations is refreshed again")
    snapshot.remaining = None if listing.remaining is None else min(listing.remaining, MOST)
    snapshot.trouble, snapshot.dropped = Trouble.NONE, listing.dropped
    snapshot.trouble_since = snapshot.pause_until = None
    snapshot.account = turn.account
    snapshot.good_at = snapshot.attempted_at = turn.began
    snapshot.save(update_fields=WRITTEN)
    return before != (snapshot.remaining, snapshot.trouble, snapshot.dropped > 0, snapshot.account)


def time_has_passed(before: datetime | None, now: datetime) -> bool:
    """Say whether time alone has changed the board since `before`: a row left it, or is late, urgent, long or due."""
    if before is None or before >= now:
        return False
    left = Q(status=Status.CLOSED, closed_at__gte=before - RECENTLY_CLOSED, closed_at__lt=now - RECENTLY_CLOSED)
    late = Q(status=Status.WAITING, created_at__gte=before - LATE_AFTER, created_at__lt=now - LATE_AFTER)
    died = Q(connecting_at__gte=before - CONNECTING_FOR, connecting_at__lt=now - CONNECTING_FOR)
    old = Operation.objects.unsettled().filter(
        started_at__gte=before - UNSETTLED_ON_BOARD, started_at__lt=now - UNSETTLED_ON_BOARD
    )
    soon = Q(status=Status.WAITING, expires_at__gte=before + EXPIRES_SOON, expires_at__lt=now + EXPIRES_SOON)
    changed = left | late | died | soon | long_sessions.became_long(before, now)
    if Invitation.objects.filter(changed).exists() or old.exists():
        return True
    return urgency.has_become_urgent(before, now)


def seen_within(snapshot: Snapshot, began: datetime) -> int:
    """Return the seconds since the previous good look: how precise "first seen" is."""
    if snapshot.good_at is None or snapshot.good_at > began:
        return int(settings.POLL_SECONDS)
    return max(1, round((began - snapshot.good_at).total_seconds()))


def adopt_lost_creates(account: str, listing: Listing) -> bool:
    """Give lost creates to those who made them, before anything counts as external."""
    found = [adoption.adopt(op, listing) for op in lost_creates(account)]
    return any(row is not None for row in found)


def lost_creates(account: str) -> QuerySet[Operation]:
    return adoption.unsettled_creates(account).filter(state=Operation.State.UNKNOWN)


def changed_or_unknown(turn: Round, listing: Listing) -> list[RemoteInvitation]:
    """Return those of the list that say anything new. Read without a lock: mostly there are none."""
    rows = known_rows(turn.account, listing.invitations)
    return [
        remote
        for remote in listing.invitations
        if remote.id not in rows or observations.differs(rows[remote.id], remote)
    ]


def upsert(turn: Round, news: Sequence[RemoteInvitation], precision: int, offset: timedelta) -> bool:
    """Write what is new into rows, unless a person has changed them since the round began.

    What a create on its way may have made waits for its answer, and then is not seen for the first time.
    """
    rows = known_rows(turn.account, news)
    creates = adoption.recent_creates(turn.account) if len(rows) < len(news) else []
    changed = False
    for remote in news:
        row = rows.get(remote.id)
        if row is None:
            makers = [op for op in creates if adoption.fits(op, remote, offset)]
            if not any(op.is_running for op in makers):
                held = [math.ceil((turn.began - op.started_at).total_seconds()) for op in makers]
                add_external(remote, account=turn.account, at=turn.began, precision=max([precision, *held]))
                changed = True
        elif row.changed_in <= turn.began_in:
            changed |= observations.apply(row, remote, at=turn.began, precision=precision)
    return changed


def known_rows(account: str, listed: Sequence[RemoteInvitation]) -> dict[int, Invitation]:
    """Return our rows of the listed ids, in batches that fit into a query of either database."""
    ids = [remote.id for remote in listed]
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


def confirm_vanished(turn: Round, listing: Listing) -> list[Invitation]:
    """Return rows that left the list and are closed beyond doubt: `info` says so, or refuses their id.

    A few per round, chosen anew each time, so that some that cannot be confirmed never block the rest;
    and only as long as the round stays short and the lease ours.
    """
    present = {remote.id for remote in listing.invitations}
    open_rows = Invitation.objects.of_account(turn.account).open().filter(changed_in__lte=turn.began_in)
    # First only the ids: of thousands of rows hardly one is missing.
    missing = [pk for pk, number in open_rows.values_list("pk", "vendor_id") if number not in present]
    chosen = random.sample(missing, min(CONFIRM_PER_ROUND, len(missing)))
    deadline = time.monotonic() + CONFIRM_WITHIN
    gone: list[Invitation] = []
    for row in Invitation.objects.filter(pk__in=chosen):
        if time.monotonic() > deadline or (turn.lease is not None and not turn.lease.take()):
            break
        if is_closed(turn.client, row, is_whole=not listing.dropped):
            gone.append(row)
    return gone


def is_closed(client: Client, row: Invitation, *, is_whole: bool) -> bool:
    try:
        return client.info(row.vendor_id, is_key_good=True).status == RemoteStatus.CLOSED
    except BadRequest as refusal:
        return is_whole and refusal.status in UNKNOWN_ID
    except GetscreenError:
        return False


def close_vanished(turn: Round, gone: list[Invitation], precision: int) -> bool:
    """Close what is gone, except what a person is closing in this moment: their action says so itself."""
    changed = False
    for row in gone:
        fresh = Invitation.objects.select_for_update().get(pk=row.pk)
        is_being_closed = Operation.objects.running().filter(verb__in=settling.CLOSING, invitation=fresh).exists()
        if fresh.is_open and fresh.changed_in <= turn.began_in and not is_being_closed:
            observations.close(fresh, at=turn.began, precision=precision)
            changed = True
    return changed


def keep_trouble(turn: Round, error: GetscreenError) -> None:
    """Keep the last good rows and say since when, and why, they are not refreshed."""
    trouble = next(name for kind, name in TROUBLES if isinstance(error, kind))
    with turn.writing() as snapshot:
        has_changed = snapshot.trouble != trouble or snapshot.account != turn.account
        has_changed |= time_has_passed(snapshot.attempted_at, turn.began)
        if snapshot.trouble != trouble:
            snapshot.trouble_since = snapshot.trouble_since or turn.began
            audit.record("vendor.trouble", result=Result.FAILED, up=operations.facts_of(error))
            logger.warning("The list of invitations is not refreshed: %s", error)
        snapshot.pause_until = pause(error, snapshot, timezone.now())
        snapshot.trouble, snapshot.attempted_at, snapshot.account = trouble, turn.began, turn.account
        snapshot.save(update_fields=["trouble", "trouble_since", "pause_until", "attempted_at", "account"])
        if has_changed:
            Snapshot.bump()


def pause(error: GetscreenError, snapshot: Snapshot, at: datetime) -> datetime | None:
    """Return until when not to ask again: a minute for a used-up plan, as told for a rate limit.

    A rate limit that tells no time doubles the wait up to a minute.
    """
    if isinstance(error, QuotaExhausted):
        return at + LONGEST_OWN_PAUSE
    if error.reason == NOT_ASKED:
        return None  # this process's own patience; another may reach the vendor
    if error.retry_after:
        return at + timedelta(seconds=error.retry_after)
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        last = snapshot.pause_until - snapshot.attempted_at if snapshot.pause_until and snapshot.attempted_at else None
        return at + min(2 * (last or timedelta(seconds=settings.POLL_SECONDS)), LONGEST_OWN_PAUSE)
    return None
