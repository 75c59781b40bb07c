"""How fresh what the portal shows is, and whose turn it is to ask."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Exists, F, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
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
    # Read along by `load`, so that a poll asks nothing more: what the policy says about who sees what, and of whom.
    visibility: str = Policy.Visibility.EVERYONE
    is_private_allowed: bool = False
    has_teams: bool = False

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"revision {self.revision}"

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
    """The snapshot with what the policy says about who sees what; until there is a policy, what it begins with."""
    policy = Policy.objects.filter(pk=1)
    return Snapshot.objects.annotate(
        visibility=Coalesce(Subquery(policy.values("visibility")), Value(Policy.Visibility.EVERYONE.value)),
        is_private_allowed=Coalesce(Subquery(policy.values("is_private_allowed")), Value(value=False)),
        has_teams=Exists(Team.objects.order_by()),
    )


snapshots = ByKey(with_policy)
