"""Attempts to change something at the vendor, from their intent to their outcome."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invitations.models.invitation import NAME_LENGTH, Invitation

# Longer than any deadline of the client plus waits for the database.
ABANDONED_AFTER = timedelta(seconds=60)
UNSETTLED_ON_BOARD = timedelta(hours=24)


class OperationQuerySet(models.QuerySet["Operation"]):
    def running(self) -> OperationQuerySet:
        """Those whose process may still wait for the vendor."""
        now = timezone.now()
        since, until = now - ABANDONED_AFTER, now + ABANDONED_AFTER
        return self.filter(state=Operation.State.PENDING, started_at__gte=since, started_at__lte=until)

    def abandoned(self) -> OperationQuerySet:
        """Those whose process must have died: longer under way than any call may take.

        Started in the future counts as well: the clock has gone back, and may take as long to get there again.
        """
        now = timezone.now()
        out_of_time = Q(started_at__lt=now - ABANDONED_AFTER) | Q(started_at__gt=now + ABANDONED_AFTER)
        return self.filter(out_of_time, state=Operation.State.PENDING)

    def unsettled(self) -> OperationQuerySet:
        """Those of which nobody knows whether they happened."""
        return self.filter(state=Operation.State.UNKNOWN) | self.abandoned()


class Operation(models.Model):
    """One attempt to change something at the vendor, from its intent to its outcome."""

    class State(models.TextChoices):
        PENDING = "pending", _("Under way")
        OK = "ok", _("Done")
        FAILED = "failed", _("Failed")
        UNKNOWN = "unknown", _("Unknown")

    reference = models.CharField(max_length=32, unique=True)  # the same in the audit log
    verb = models.CharField(max_length=10)
    token = models.CharField(max_length=64, blank=True)  # of the form it came from
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="operations")
    invitation = models.ForeignKey(Invitation, null=True, on_delete=models.CASCADE, related_name="operations")
    account = models.CharField(max_length=16)
    client_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    ticket = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.SET_NULL, related_name="+")
    is_private = models.BooleanField(default=False)
    known_ids = models.JSONField(default=list)  # the vendor's ids we knew before a create
    called_at: float | None = None  # on the monotonic clock, in the process that acts

    objects = OperationQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["by", "token"],
                condition=Q(verb="create") & ~Q(token=""),
                name="invitations_operation_create_once_per_form",
                violation_error_message=_("This form has been sent already."),
            ),
            models.UniqueConstraint(
                # The board has one form for all its rows.
                fields=["by", "verb", "token", "invitation"],
                condition=~Q(verb="create") & ~Q(token=""),
                name="invitations_operation_once_per_form",
                violation_error_message=_("This form has been sent already."),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "started_at"],
                name="invitations_unsettled",
                condition=~Q(state__in=["ok", "failed"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.reference}"

    @property
    def milliseconds(self) -> int | None:
        """How long the vendor has taken so far, in the process that asked it."""
        return None if self.called_at is None else round((time.monotonic() - self.called_at) * 1000)

    @property
    def is_running(self) -> bool:
        """Say whether its process may still wait for the vendor: `OperationQuerySet.running` for one."""
        return self.state == self.State.PENDING and abs(timezone.now() - self.started_at) <= ABANDONED_AFTER
