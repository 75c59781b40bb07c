"""Every event goes to a syslog server as well, at least once and in order, and nobody waits for it.

The log itself is the outbox, and `Standing.forwarded_seq` says how far it is delivered: up to the last
event that the server's host has acknowledged and whose connection still stood SETTLE seconds later. TCP
says no more. A connection that breaks therefore sends again what was not settled; one that breaks in
disorder may have left acknowledged bytes unread, so then the last REACH events on it go out once more.
Receivers tell doubles by their `seq`. Checkpoints follow the events under them.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import Error as AnyDatabaseError
from django.db import close_old_connections, connection
from django.utils import timezone
from django.utils.translation import gettext as _

from portal import audit
from portal.audit import syslog
from portal.audit.appending import NODE, newest
from portal.audit.canonical import canonical
from portal.audit.kinds import Result
from portal.audit.models import Checkpoint, Event, Person, Standing, first_event

logger = logging.getLogger(__name__)

BATCH = 200  # events per write
BUDGET = 3.0  # seconds that one call of `drain` may take, connecting included
SETTLE = 5.0  # seconds
REACH = 10_000  # events, about 10 MB: more than a host keeps of what its program has not read
STUCK = 30.0  # seconds without progress after which a server does not read any more
STEADY = 60.0  # seconds that a connection stands before the next break is tried again at once
LONGEST_REST = 60.0  # seconds between two tries
TICK = 1.0  # seconds
MICROSECONDS = 1_000_000
SEVERITIES = {Result.DENIED: syslog.WARNING, Result.FAILED: syslog.WARNING, Result.UNKNOWN: syslog.WARNING}
GRAVE = ("audit.verified", "audit.triggers")  # if they failed, the log may have been changed
# However it ended: somebody goes past the usual way in, or has put the past in place of the present.
ALARMING = ("signin.link_made", "signin.link_used", "backup.restored")


class Overtaken(Exception):
    """Another process has moved the cursor: what this one knows of it is old."""


def message_of(event: Event) -> syslog.Message:
    grave = event.kind in ALARMING or (event.kind in GRAVE and event.result == Result.FAILED)
    where = event.content["sys"]
    return syslog.Message(
        syslog.CRITICAL if grave else SEVERITIES.get(Result(event.result or Result.OK), syslog.INFORMATIONAL),
        event.at,
        str(where["node"]),
        str(where["pid"]),
        event.kind,
        {"seq": str(event.seq), "hash": event.hash},
        event.record,
    )


def checkpoint_message(checkpoint: Checkpoint) -> syslog.Message:
    body = {name: getattr(checkpoint, name) for name in ("size", "root", "head", "ts", "note")}
    at = datetime.fromtimestamp(checkpoint.ts // MICROSECONDS, UTC)
    data = {"seq": str(checkpoint.size), "hash": checkpoint.head}
    return syslog.Message(syslog.INFORMATIONAL, at, NODE, "", "checkpoint", data, canonical(body))


def dial(within: float) -> syslog.Link:
    """Return a new connection to the server of the settings. Raises syslog.Broken."""
    target = syslog.Target.parse(settings.SYSLOG_URL)
    return syslog.Link(target, ca_file=settings.SYSLOG_CA_FILE, within=within)


class Lease:
    """The right to send, for one process at a time; in the cache, which all share. Losing it costs doubles only."""

    KEY = "audit:forwarding"
    LENGTH = 20  # seconds

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self.renew_at = 0.0  # on the monotonic clock

    def take(self) -> bool:
        now = time.monotonic()
        if now < self.renew_at:
            return True
        holder = cache.get(self.KEY)
        held = cache.add(self.KEY, self.token, self.LENGTH) if holder is None else holder == self.token
        if held and holder:
            cache.touch(self.KEY, self.LENGTH)
        self.renew_at = now + self.LENGTH / 4 if held else 0.0
        return bool(held)

    def release(self) -> None:
        self.renew_at = 0.0
        if cache.get(self.KEY) == self.token:
            cache.delete(self.KEY)


class Sender:
    """One process's hand on the outbox: a connection that stays open, and what was sent on it."""

    def __init__(self) -> None:
        self.lease = Lease()
        self.link: syslog.Link | None = None
        self.cursor = 0  # as the database has it
        self.began = self.sent = 0  # on this connection: after which event, and up to which
        self.noted = 0  # the last checkpoint
        self.unsettled: deque[tuple[int, float]] = deque()  # events up to which one, and when they were sent
        self.doubt: int | None = None  # after which event the server may have lost what it had acknowledged
        self.failures = 0
        self.not_before = 0.0  # on the monotonic clock

    def drain(self, within: float = BUDGET) -> bool:
        """Send what waits, for so many seconds at most. Returns whether there is more to send at once."""
        if not settings.SYSLOG_URL or time.monotonic() < self.not_before:
            return False
        if not self.lease.take():
            self.part()
            return False
        deadline = time.monotonic() + within
        try:
            link = self.link or self.begin(within)
            self.refuse_overtaken()
            link.look()
            has_more = self.push(link, deadline)
            self.settle(link)
        except syslog.Broken as error:
            self.fail(error)
        except Overtaken:
            self.part()
        else:
            return has_more
        return False

    def begin(self, within: float) -> syslog.Link:
        """Connect, and go on after the last event that is delivered for certain."""
        self.go_back()
        self.cursor = min(Standing.load().forwarded_seq, newest().seq)
        Standing.objects.filter(pk=1, forwarded_seq__gt=self.cursor).update(forwarded_seq=self.cursor)
        self.began = self.sent = self.cursor
        # The newest under the cursor once more: it may not have arrived, and it covers all before it.
        under = Checkpoint.objects.filter(size__lte=self.cursor).order_by("-size").values_list("size", flat=True)[:2]
        self.noted = under[1] if len(under) > 1 else 0
        self.link = dial(within)
        return self.link

    def push(self, link: syslog.Link, deadline: float) -> bool:
        while link.flush(deadline):
            if self.sent > (self.unsettled[-1][0] if self.unsettled else self.cursor):
                self.unsettled.append((self.sent, time.monotonic()))
            waiting = self.next_messages() if time.monotonic() < deadline else b""
            if not waiting:
                return time.monotonic() >= deadline
            link.queue(waiting)
        if time.monotonic() - link.moved_at > STUCK:
            raise syslog.Broken(_("The server accepts nothing any more."))
        return False

    def next_messages(self) -> bytes:
        events = list(Event.objects.filter(seq__gt=self.sent).order_by("seq")[:BATCH])
        if events and events[0].seq > self.sent + 1:
            self.skip_to(events[0].seq - 1)
        if events:
            self.sent = events[-1].seq
        covered = Checkpoint.objects.filter(size__gt=self.noted, size__lte=self.sent).order_by("size")[:BATCH]
        checkpoints = list(covered)
        if checkpoints:
            self.noted = checkpoints[-1].size
        messages = [*map(message_of, events), *map(checkpoint_message, checkpoints)]
        return b"".join(message.frame() for message in messages)

    def skip_to(self, seq: int) -> None:
        """Leave out events that were purged before they could be sent, and say so."""
        count = seq - self.sent
        with audit.writing():
            self.move(seq)
            facts = {"count": count, "upto": seq}
            audit.record("audit.forward_skipped", result=Result.FAILED, facts=facts)
        self.unsettled.clear()
        self.cursor = self.sent = seq

    def settle(self, link: syslog.Link) -> None:
        """Move the cursor over what counts as delivered now."""
        link.look()
        now, upto = time.monotonic(), self.cursor
        if link.is_acknowledged():
            while self.unsettled and now - self.unsettled[0][1] >= SETTLE:
                upto = self.unsettled.popleft()[0]
        if upto > self.cursor:
            self.advance(upto)
        if now - link.opened_at >= SETTLE and not link.chunks:
            self.recover()
        if now - link.opened_at >= STEADY:
            self.failures = 0

    def advance(self, upto: int) -> None:
        self.move(upto)
        self.cursor = upto

    def move(self, seq: int) -> None:
        """Compare and set: events that another process has in doubt must not be passed."""
        rows = Standing.objects.filter(pk=1, forwarded_seq=self.cursor)
        if not rows.update(forwarded_seq=seq, forwarded_at=timezone.now()):
            raise Overtaken

    def refuse_overtaken(self) -> None:
        if not Standing.objects.filter(pk=1, forwarded_seq=self.cursor).exists():
            raise Overtaken

    def recover(self) -> None:
        """Say once that it works again."""
        broken = Standing.objects.filter(pk=1).exclude(forward_error="")
        if broken.exists():
            with audit.writing():
                if broken.update(forward_error="", forwarded_at=timezone.now()):
                    audit.record("audit.forward", result=Result.OK)
            logger.info("The syslog server is reached again")

    def fail(self, error: syslog.Broken) -> None:
        """Try again later. Say once that it does not work, unless the server has only ended an idle connection."""
        had_link, self.failures = self.link is not None, self.failures + 1
        rest = min(LONGEST_REST, 2.0 ** min(self.failures, 10) / 2)
        self.not_before = time.monotonic() + rest * random.uniform(0.5, 1)  # noqa: S311  # spreads the replicas
        if had_link and not isinstance(error, syslog.Ended):
            self.doubt = max(self.began, self.sent - REACH)
        self.drop()
        self.go_back()
        if self.failures > 1 or not isinstance(error, syslog.Ended):
            tell(str(error)[:200])
        self.lease.release()  # another process may reach the server where this one cannot

    def go_back(self) -> None:
        """Move the cursor before the events that are in doubt, whoever has moved it since."""
        if self.doubt is not None:
            Standing.objects.filter(pk=1, forwarded_seq__gt=self.doubt).update(forwarded_seq=self.doubt)
            self.doubt = None

    def drop(self) -> None:
        if self.link is not None:
            self.link.close()
        self.link = None
        self.unsettled.clear()

    def part(self, within: float = 1.0) -> bool:
        """End the connection; say whether the server has read all of it. If not, others must send it again."""
        is_read = self.link is not None and self.link.finish(within)
        if self.link is not None and not is_read:
            self.doubt = max(self.began, self.sent - REACH)
        self.drop()
        self.go_back()
        return is_read

    def close(self) -> None:
        """End in good order: if the server confirms, nothing need be sent again after a restart."""
        if self.part():
            with suppress(Overtaken):
                self.advance(self.sent)
        self.lease.release()


def tell(reason: str) -> None:
    well = Standing.objects.filter(pk=1, forward_error="")
    if well.exists():
        with audit.writing():
            if well.update(forward_error=reason):
                audit.record("audit.forward", result=Result.FAILED, facts={"reason": reason})
        logger.warning("The syslog server cannot be reached: %s", reason)
    else:
        Standing.note(forward_error=reason)


def send_test(actor: Person, within: float = 5.0) -> str:
    """Send one message on a connection of its own; return why that failed, or nothing. Either way it is an event."""
    now = timezone.now()
    body = canonical({"test": True, "at": now.isoformat()})
    message = syslog.Message(syslog.INFORMATIONAL, now, NODE, "", "test", {}, body)
    try:
        link = dial(within)
        link.queue(message.frame())
        is_read = link.finish(within / 2)
        is_taken = is_read or link.is_acknowledged()
        link.close()
        reason = "" if is_taken else _("The server has not taken the message.")
    except syslog.Broken as error:
        reason = str(error)[:200]
    result = Result.FAILED if reason else Result.OK
    audit.record("audit.forward_tested", result=result, actor=actor, facts={"reason": reason} if reason else {})
    return reason


class Lag(NamedTuple):
    events: int
    seconds: int  # the age of the oldest event that is not delivered


def lag() -> Lag | None:
    """Return how far the syslog server is behind. None if there is none."""
    if not settings.SYSLOG_URL:
        return None
    delivered = Standing.objects.values_list("forwarded_seq", flat=True).first() or 0
    delivered = max(delivered, first_event() - 1)
    oldest = Event.objects.filter(seq=delivered + 1).values_list("ts", flat=True).first()
    age = (time.time_ns() // 1000 - oldest) // MICROSECONDS if oldest else 0
    return Lag(max(0, newest().seq - delivered), max(0, age))


def flush() -> None:
    """Send what is left at the very end of the program, unless another process does. Raises nothing.

    Takes BUDGET and a second more at most; what does not go out by then is sent at the next start.
    """
    if not settings.SYSLOG_URL:
        return
    sender = Sender()
    try:
        sender.drain()
        sender.close()
    except Exception:
        logger.exception("The last events could not be sent to the syslog server now")


class Forwarder:
    """The thread beside the watcher that empties the outbox. Without SYSLOG_URL there is none."""

    def __init__(self) -> None:
        self.sender = Sender()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="forwarder", daemon=True)

    def start(self) -> None:
        if settings.SYSLOG_URL:
            self.thread.start()

    def ask(self) -> None:
        """Ask the loop to end."""
        self.stopping.set()

    def join(self, timeout: float) -> None:
        if self.thread.is_alive():
            self.thread.join(timeout)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                if not self.tick():
                    self.stopping.wait(TICK)
            self.sender.close()
        except Exception:
            logger.exception("The forwarder could not end in good order")
        finally:
            connection.close()

    def tick(self) -> bool:
        try:
            close_old_connections()
            return self.sender.drain()
        except AnyDatabaseError:
            logger.warning("The forwarder could not use the database")
        except Exception:
            logger.exception("A round of the forwarder failed")
        with suppress(AnyDatabaseError):
            self.sender.part()
        return False
