"""How fresh what the portal shows is, and whose turn it is to ask."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Exists, F, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from invitations.models.policy import Policy
from portal.accounts.models import Team
from portal.prepared import ByKey


class Snapshot(models.Model):
    """How fresh the rows are and who is fetching: one row for the whole installation."""

    class Trouble(models.TextChoices):
        NONE = "", _("None")
        STARTING = "starting", _("Starting")
        UNREACHABLE = "unreachable", _("Getscreen does not answer")
        QUOTA = "quota", _("Plan limit used up")
        KEY = "key", _("API key rejected")
        GARBLED = "garbled", _("Answer not understood")
        ADDRESS = "address", _("Wrong address")

    revision = models.BigIntegerField(default=1)  # moves when a person could see a difference
    good_at = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(null=True)
    remaining = models.IntegerField(null=True)
    dropped = models.IntegerField(default=0)
    trouble = models.CharField(max_length=12, choices=Trouble, default=Trouble.STARTING, blank=True)
    trouble_since = models.DateTimeField(null=True)
    pause_until = models.DateTimeField(null=True)
    account = models.CharField(max_length=16, blank=True)
    watched_at = models.DateTimeField(null=True)  # when a browser last polled, as far as written
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"revision {self.revision}"

    # What `load` reads along, so that a poll asks nothing more: whether there are teams, and who sees what.

    @property
    def visibility(self) -> str:
        return str(vars(self).get("of_policy") or Policy.Visibility.EVERYONE)

    @property
    def is_private_allowed(self) -> bool:
        return bool(vars(self).get("allows_private"))

    @property
    def has_teams(self) -> bool:
        return bool(vars(self).get("of_teams"))

    @classmethod
    def load(cls) -> Snapshot:
        """Return the one row, made by the first who asks. Every request and every poll comes here."""
        return snapshots.get(1) or snapshots.get(cls.objects.get_or_create(pk=1)[0].pk) or cls()

    @classmethod
    def bump(cls) -> int:
        """Move the revision, because a person could see a difference, and return the new one.

        Inside a transaction no other can move it until the end, so the number belongs to this change alone.
        """
        cls.objects.filter(pk=1).update(revision=F("revision") + 1)
        return cls.load().revision


def with_policy() -> QuerySet[Snapshot]:
    policy = Policy.objects.filter(pk=1)
    return Snapshot.objects.annotate(
        of_policy=Subquery(policy.values("visibility")),
        allows_private=Subquery(policy.values("is_private_allowed")),
        of_teams=Exists(Team.objects.order_by()),
    )


snapshots = ByKey(with_policy)
