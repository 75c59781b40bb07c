"""What the database says of the whole installation, read when asked, so that every replica says the same.

A handful of queries, however much there is. Nothing is written, and no name, code or address is read.
"""

from __future__ import annotations

import logging
import platform
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from math import inf
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as AnyDatabaseError
from django.db import connection
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from invitations.models import UNSETTLED_ON_BOARD, Delivery, Invitation, Operation, Snapshot, Status
from invitations.urgency import WAITING
from portal.audit import forwarding
from portal.audit.appending import newest
from portal.audit.models import Standing
from portal.backups import schedule

logger = logging.getLogger(__name__)
LATELY = timedelta(hours=24)


class Known(Collector):
    def collect(self) -> Iterator[Metric]:
        yield gauge("portal_build_info", "Which release runs, on what.", 1, **build())
        found: list[Metric] = []
        is_up = is_whole = True
        known = Knowledge()
        for look in LOOKS:
            try:
                found += look(known)
            except (AnyDatabaseError, ImproperlyConfigured):
                is_up = is_whole = False
                break  # the others would wait for it in vain as well
            except Exception:  # whoever watches must go on seeing the rest
                logger.exception("Numbers for /metrics could not be read")
                is_whole = False
        yield from found
        yield gauge("portal_database_up", "1 if the database could be read just now.", is_up)
        yield gauge("portal_metrics_complete", "0 if some of the numbers are missing from this answer.", is_whole)


def gauge(name: str, says: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(name, says, labels=list(labels))
    metric.add_metric(list(labels.values()), float(value))
    return metric


def by_label(name: str, says: str, label: str, values: dict[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], float(value))
    return metric


def build() -> dict[str, str]:
    return {
        "version": settings.RELEASE,
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": connection.vendor,
    }


class Knowledge:
    """The rows that several numbers come from, and the moment of the scrape."""

    def __init__(self) -> None:
        self.now = timezone.now()

    @cached_property
    def snapshot(self) -> Snapshot:
        return Snapshot.objects.filter(pk=1).first() or Snapshot()

    @cached_property
    def standing(self) -> Standing:
        return Standing.objects.filter(pk=1).first() or Standing()

    def age(self, at: datetime | None) -> float:
        """Return seconds, endless ones for what never happened, so that it is older than any limit."""
        return inf if at is None else max(0.0, (self.now - at).total_seconds())


def sync(known: Knowledge) -> Iterator[Metric]:
    snapshot = known.snapshot
    yield gauge(
        "portal_sync_age_seconds",
        "Since the last good list from Getscreen; +Inf if there was none yet.",
        known.age(snapshot.good_at),
    )
    yield gauge(
        "portal_sync_interval_seconds",
        "Between two looks at Getscreen while nobody has the board open.",
        max(settings.POLL_SECONDS, settings.IDLE_POLL_SECONDS),
    )
    troubles = {name or "none": float(snapshot.trouble == name) for name in Snapshot.Trouble.values}
    yield by_label("portal_sync_trouble", "1 for what the last look at Getscreen came to.", "trouble", troubles)
    yield gauge("portal_revision", "Moves with everything that a person could see change.", snapshot.revision)
    if snapshot.remaining is not None:
        yield gauge("portal_quota_left", "What the plan at Getscreen leaves, as it said last.", snapshot.remaining)


def clients(known: Knowledge) -> Iterator[Metric]:
    rows = Invitation.objects.of_account(known.snapshot.account).open().order_by()
    found = rows.values("status").annotate(
        number=Count("pk"), waiting=Count("pk", filter=WAITING), since=Min("joined_at", filter=WAITING)
    )
    by_status = {row["status"]: row for row in found}
    open_ones = {
        status.name.lower(): float(by_status[status]["number"] if status in by_status else 0)
        for status in Status
        if status != Status.CLOSED
    }
    yield by_label("portal_invitations_open", "Open invitations: waiting is for the client.", "status", open_ones)
    joined = by_status.get(Status.JOINED)
    waiting, since = (joined["waiting"], joined["since"]) if joined else (0, None)
    yield gauge("portal_clients_waiting", "Clients who have joined and whom nobody has taken.", waiting)
    yield gauge(
        "portal_oldest_wait_seconds",
        "How long the first of them has been waiting; 0 if there is none.",
        known.age(since) if since else 0,
    )


def operations(known: Knowledge) -> Iterator[Metric]:
    unknown = Operation.objects.unsettled().filter(started_at__gte=known.now - UNSETTLED_ON_BOARD)
    yield gauge(
        "portal_operations_unknown",
        "Actions of the last 24 hours of which nobody knows whether they happened.",
        unknown.count(),
    )


def outbox(known: Knowledge) -> Iterator[Metric]:
    waiting, failed = Q(state=Delivery.State.WAITING), Q(state=Delivery.State.FAILED)
    rows = Delivery.objects.filter(waiting | failed & Q(ended_at__gte=known.now - LATELY)).order_by()
    found = rows.values("kind").annotate(
        waiting=Count("pk", filter=waiting),
        failed=Count("pk", filter=failed),
        due=Min("next_at", filter=waiting & Q(next_at__lte=known.now)),
    )
    by_kind = {row["kind"]: row for row in found}
    empty = {"waiting": 0, "failed": 0, "due": None}
    kinds = {kind: by_kind.get(kind, empty) for kind in Delivery.Kind.values}
    for name, says, value in (
        ("waiting", "Mails and webhooks that are not delivered yet.", lambda row: row["waiting"]),
        ("failed", "Mails and webhooks that were given up in the last 24 hours.", lambda row: row["failed"]),
        (
            "overdue_seconds",
            "Since when the next try of the oldest is due: what nobody sends.",
            lambda row: known.age(row["due"]) if row["due"] else 0,
        ),
    ):
        yield by_label(f"portal_outbox_{name}", says, "kind", {kind: value(row) for kind, row in kinds.items()})


def log(known: Knowledge) -> Iterator[Metric]:
    standing = known.standing
    yield gauge("portal_audit_events", "The number of the newest event in the audit log.", newest().seq)
    yield gauge(
        "portal_audit_verified_age_seconds",
        "Since the audit log was last checked as a whole; +Inf if it never was.",
        known.age(standing.verified_at),
    )
    bad = standing.verified_state in ("tampered", "failed")
    yield gauge("portal_audit_suspect", "1 if the last check found the log changed, or could not check it.", bad)
    missing = standing.triggers_missing_since is not None
    yield gauge("portal_audit_triggers_missing", "1 while the database would let the log be changed.", missing)
    if settings.AUDIT_CHECKPOINT_DIR is not None:
        yield gauge(
            "portal_audit_anchor_age_seconds",
            "Since a checkpoint was last written to AUDIT_CHECKPOINT_DIR; +Inf if none was.",
            known.age(standing.anchored_at),
        )
    lag = forwarding.lag()
    if lag is not None:
        yield gauge("portal_forward_lag_events", "Events that the syslog server does not have yet.", lag.events)
        yield gauge("portal_forward_lag_seconds", "The age of the oldest of them.", lag.seconds)


def storage(known: Knowledge) -> Iterator[Metric]:
    yield gauge(
        "portal_backup_age_seconds",
        "Since the last backup that the portal knows of; +Inf if it knows of none.",
        known.age(schedule.last_made()),
    )
    file = file_of_the_database()
    if file is not None:
        free = shutil.disk_usage(file).free
        yield gauge("portal_disk_free_bytes", "Free space on the disk that the database is on.", free)


def file_of_the_database() -> Path | None:
    file = Path(str(settings.DATABASES["default"]["NAME"]))
    return file if connection.vendor == "sqlite" and file.is_file() else None


LOOKS: tuple[Callable[[Knowledge], Iterator[Metric]], ...] = (sync, clients, operations, outbox, log, storage)
