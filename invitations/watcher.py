"""The thread that keeps the rows fresh: in every `serve` process, and alone as `manage.py watch`.

All watchers compete for one lease; whoever holds it asks once per interval, less often while nobody
has the board open or the vendor asks for patience. It survives whatever a round does: an unforeseen
error is logged and the next round comes.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from invitations import operations, orphans, outbox, retention, rhythm, sync, webhooks
from invitations.escalation import Escalator
from invitations.models import Snapshot
from portal.accounts import sessions
from portal.audit import tending
from portal.backups import schedule
from portal.getscreen import configured
from portal.outage import is_outage

logger = logging.getLogger(__name__)

RECOVER_EVERY = 15.0  # seconds
TIDY_EVERY = 3600.0  # seconds
ORPHANS_EVERY = 15.0  # seconds
BACKUPS_EVERY = 60.0  # seconds between two looks whether one is due
ENOUGH_FAILURES = 5  # rounds, until another process may try


class Watcher:
    """Runs rounds until told to stop."""

    def __init__(self) -> None:
        self.lease = sync.Lease()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="watcher", daemon=True)
        self.recovered_at: float | None = None
        self.not_before = self.stepped_back_until = 0.0  # on the monotonic clock
        self.failures = 0  # in a row
        self.sessions_due = tending.Due(TIDY_EVERY)
        self.escalator = Escalator()
        self.snapshot: Snapshot | None = None  # as the last tick has left it
        self.is_cut_off = False  # from the database
        self.orphans_due = tending.Due(ORPHANS_EVERY)
        self.backups_due = tending.Due(BACKUPS_EVERY)

    def start(self) -> None:
        self.thread.start()

    def ask(self) -> None:
        """Ask the loop to end; it gives the lease back."""
        self.stopping.set()

    def join(self, timeout: float) -> None:
        if self.thread.is_alive():
            self.thread.join(timeout)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.tick()
                self.stopping.wait(self.rest())
            self.lease.release()
        except Exception:
            logger.exception("The watcher could not give its lease back")
        finally:
            connection.close()

    def tick(self) -> None:
        """Say who looks, settle what was interrupted, tend the log, and run one round if it is due and our turn.

        Then call others to clients whom nobody takes.
        """
        steps = (
            rhythm.here.write,
            self.recover,
            self.tidy,
            tending.tend,
            self.look,
            self.return_orphans,
            self.escalate,
            self.back_up,
        )
        for step in (close_old_connections, *steps):
            try:
                step()
            except Exception as error:
                if is_outage(error):
                    self.tell_outage()
                    return  # what follows needs the database as well
                logger.exception("A round of the watcher failed")
        self.is_cut_off = False

    def tell_outage(self) -> None:
        if not self.is_cut_off:
            logger.warning("The watcher cannot reach the database, and tries again")
        self.is_cut_off = True

    def recover(self) -> None:
        now = time.monotonic()
        if self.recovered_at is None or now - self.recovered_at >= RECOVER_EVERY:
            self.recovered_at = now
            operations.abandon_interrupted()

    def tidy(self) -> None:
        if self.sessions_due.now():
            sessions.remove_old()
            outbox.remove_old()
            retention.erase_old()
            webhooks.reseal()

    def return_orphans(self) -> None:
        if self.orphans_due.now() and time.monotonic() >= self.stepped_back_until and self.lease.take():
            orphans.return_orphans()

    def back_up(self) -> None:
        if self.backups_due.now() and self.lease.take():
            schedule.back_up_if_due()

    def look(self) -> None:
        # The lease is asked for at every tick, whoever has it: that is also how its holder keeps it.
        if not settings.GETSCREEN_API_KEY or time.monotonic() < self.stepped_back_until or not self.lease.take():
            return
        if rhythm.seconds_left(Snapshot.load(), timezone.now()) > 0 or time.monotonic() < self.not_before:
            return
        # Kept in memory as well: a round that cannot be written must not make the next one come sooner.
        self.not_before = time.monotonic() + settings.POLL_SECONDS * 0.9
        with self.lease.kept():
            has_worked = sync.run_round(configured.watching_client(), lease=self.lease)
        self.failures = 0 if has_worked else self.failures + 1
        if self.failures >= ENOUGH_FAILURES:
            self.step_back()

    def escalate(self) -> None:
        """Take the steps that are due, if we have the lease. What `rest` has read is fresh enough for that."""
        if self.snapshot is not None and self.lease.is_held(self.snapshot):
            self.escalator.run(self.snapshot)

    def step_back(self) -> None:
        """Leave the lease to another for a while: it may reach the vendor where this process cannot."""
        self.failures = 0
        self.lease.release()
        seconds = 2 * self.lease.length.total_seconds()
        self.stepped_back_until = time.monotonic() + seconds
        logger.info("No list after %d rounds: another process may try for %d s", ENOUGH_FAILURES, seconds)

    def rest(self) -> float:
        """Return for how many seconds to sleep: a third of an interval, less if a round is due before."""
        third = settings.POLL_SECONDS / 3
        try:
            self.snapshot = Snapshot.load()
            left = rhythm.seconds_left(self.snapshot, timezone.now())
        except Exception as error:
            if is_outage(error):
                self.tell_outage()
                return third
            logger.exception("The watcher could not read when the next round is due")
            return third
        return min(third, left) if left > 0 else third
