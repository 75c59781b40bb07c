"""Invitations to a remote session, and what happened to them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invitations import tickets
from invitations.models.sight import Rules, sight_of
from portal.accounts import roles

if TYPE_CHECKING:
    from portal.accounts.models import User

LATE_AFTER = timedelta(hours=1)
RECENTLY_CLOSED = timedelta(minutes=15)
EXPIRES_SOON = timedelta(hours=2)  # from then on the board counts down
CONNECTING_FOR = timedelta(seconds=60)  # after which a connect under way has died with its process
NAME_LENGTH = 100  # the vendor's limit is unknown


class Status(models.IntegerChoices):
    """The vendor's numbers; UNKNOWN is ours, for a number we do not know."""

    WAITING = 0, _("Waiting for client")
    JOINED = 1, _("Client joined")
    ACTIVE = 2, _("In session")
    CLOSED = 3, _("Closed")
    UNKNOWN = -1, _("Unknown")


OS_LABELS = {
    "win": "Windows",
    "mac": "macOS",
    "linux": "Linux",
    "android": "Android",
    "unknown": _("Unknown system"),
}


PHRASES = 1 << 16


def new_phrase() -> int:
    """Return a number that names two words in every language: `invitations.phrases`."""
    return secrets.randbelow(PHRASES)


def new_public_id() -> str:
    """Return 128 random bits for addresses: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(16)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def visible_to(self, user: User, rules: Rules | None = None) -> InvitationQuerySet:
        """Those that the person may know of: `invitations.models.sight`. None without the right to see the board."""
        if not user.has_perm(roles.SEE):
            return self.none()
        sight = sight_of(user, rules)
        return self.all() if sight.is_whole else self.filter(sight.condition())

    def open(self) -> InvitationQuerySet:
        return self.exclude(status=Status.CLOSED)

    def of_account(self, fingerprint: str) -> InvitationQuerySet:
        return self.filter(account=fingerprint)

    def closed(self, query: str = "", *, may_see_codes: bool = False) -> InvitationQuerySet:
        """Return closed ones, the last closed first: all, or those in which a text or (if seen) a code is found."""
        rows = self.filter(status=Status.CLOSED).order_by("-closed_at", "-pk")
        if not query:
            return rows
        fields = ("client_name", "ticket", "created_by_name", "taken_by_name", "note", "reason", "outcome")
        found = Q.create([(f"{field}__icontains", query) for field in fields], connector=Q.OR)
        digits = "".join(query.split())
        return rows.filter(found | Q(code__contains=digits) if may_see_codes and digits.isdigit() else found)

    def on_board(self, now: datetime) -> InvitationQuerySet:
        """Open ones, and those closed a moment ago."""
        return self.filter(~Q(status=Status.CLOSED) | Q(closed_at__gte=now - RECENTLY_CLOSED))


class Invitation(models.Model):
    """One invitation to a remote session, by whoever made it."""

    public_id = models.CharField(max_length=32, unique=True, default=new_public_id, editable=False)
    account = models.CharField(max_length=16)  # fingerprint of the API key that knows it
    vendor_id = models.BigIntegerField()
    status = models.SmallIntegerField(choices=Status, default=Status.WAITING)
    raw_status = models.CharField(max_length=20, blank=True)
    code = models.CharField(max_length=64, blank=True)
    invite_url = models.CharField(max_length=2048, blank=True)
    client_name = models.CharField(_("client name"), max_length=NAME_LENGTH, blank=True)
    client_os = models.CharField(max_length=20, blank=True)
    has_preview = models.BooleanField(default=False)
    ticket = models.CharField(_("ticket"), max_length=100, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)  # where the policy takes one for a ticket
    note = models.TextField(_("note"), max_length=2000, blank=True)  # as it is now; `Note` has each version
    outcome = models.CharField(_("outcome"), max_length=60, blank=True)  # in the words of that day
    phrase = models.PositiveIntegerField(default=new_phrase)  # what client and supporter say to each other
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    is_private = models.BooleanField(_("private"), default=False)
    is_external = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="created"
    )
    created_by_name = models.CharField(max_length=150, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="taken"
    )
    taken_by_name = models.CharField(max_length=150, blank=True)
    connecting_at = models.DateTimeField(null=True, blank=True)  # since when whoever has taken it connects
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)  # never, for external ones
    expired_at = models.DateTimeField(null=True, blank=True)  # when the portal closed it for that
    still_at = models.DateTimeField(null=True, blank=True)  # when a person last said that a long session is one
    joined_at = models.DateTimeField(null=True, blank=True)  # first seen by polling
    active_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, db_index=True)
    erased_at = models.DateTimeField(null=True, blank=True)  # when what was personal went: `invitations.retention`
    # The revision that brought a person's last change: what was asked for before it is older than we are.
    changed_in = models.BigIntegerField(default=0)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("see_board", "See the board and the details of invitations"),
            ("see_codes", "See codes, links and desktop previews"),
            ("create_invitation", "Create invitations"),
            ("connect_invitation", "Connect to clients"),
            ("manage_own_invitation", "Rename and close one's own invitations"),
            ("manage_any_invitation", "Rename and close everybody's invitations"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "vendor_id"],
                name="invitations_invitation_vendor_unique",
                violation_error_message=_("This invitation is known already."),
            ),
            models.CheckConstraint(
                condition=Q(status=Status.CLOSED, closed_at__isnull=False)
                | (~Q(status=Status.CLOSED) & Q(closed_at__isnull=True)),
                name="invitations_invitation_closed_has_time",
                violation_error_message=_("A closed invitation has the time of its closing, an open one has none."),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "closed_at"], name="invitations_on_board"),
            models.Index(fields=["code"], name="invitations_of_code"),  # anybody can ask for one
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def has_name(self) -> bool:
        return bool(self.client_name)

    @property
    def display_name(self) -> str:
        return self.client_name or str(_("Name erased") if self.erased_at else _("No name yet"))

    @property
    def status_key(self) -> str:
        return "unknown" if self.status == Status.UNKNOWN else str(self.status)

    @property
    def status_label(self) -> str:
        return str(Status(self.status).label)

    @property
    def os_label(self) -> str:
        return str(OS_LABELS.get(self.client_os, ""))

    @property
    def code_grouped(self) -> str:
        """The code in groups of three with no-break spaces, to read aloud."""
        return "\u00a0".join(self.code[i : i + 3] for i in range(0, len(self.code), 3))

    @property
    def ticket_url(self) -> str:
        """The ticket's address in the ticket system, if one is configured."""
        return tickets.link(self.ticket)

    @property
    def masked_code(self) -> str:
        return f"…{self.code[-3:]}" if self.code else ""

    @property
    def is_open(self) -> bool:
        return self.status != Status.CLOSED

    @property
    def is_late(self) -> bool:
        return self.status == Status.WAITING and timezone.now() - self.created_at > LATE_AFTER

    @property
    def can_expire(self) -> bool:
        """Say whether its time runs: nobody is there, and nobody keeps it for a client."""
        return self.status == Status.WAITING and self.expires_at is not None and self.taken_by_id is None

    @property
    def has_expired(self) -> bool:
        """Say whether its time is up. The watcher closes it then, a moment later."""
        is_over = self.can_expire and self.expires_at is not None and self.expires_at <= timezone.now()
        return self.expired_at is not None or is_over

    @property
    def is_expiring(self) -> bool:
        return self.can_expire and self.expires_at is not None and self.expires_at - timezone.now() < EXPIRES_SOON

    def is_owned_by(self, user: User) -> bool:
        return self.created_by_id is not None and self.created_by_id == user.pk


class Entry(models.Model):
    """One line of an invitation's timeline."""

    class Kind(models.TextChoices):
        CREATED = "created", _("Created")
        FOUND = "found", _("Made outside the portal")
        JOINED = "joined", _("Client joined")
        LEFT = "left", _("Client left")
        CONNECTED = "connected", _("Connected")
        ACTIVE = "active", _("Session running")
        RENAMED = "renamed", _("Renamed")
        CLOSED = "closed", _("Closed")
        CLOSED_OUTSIDE = "closed_outside", _("Closed outside the portal")
        UNKNOWN = "unknown", _("Unknown status")
        CLAIMED = "claimed", _("Claimed")
        TAKEN_OVER = "taken_over", _("Taken over")
        HANDED_OVER = "handed_over", _("Handed over")
        RELEASED = "released", _("Released")
        RETURNED = "returned", _("Returned to the queue")
        SHARED = "shared", _("Message sent")
        NOT_SENT = "not_sent", _("Message not delivered")
        NOTED = "noted", _("Note changed")
        EXTENDED = "extended", _("Extended")
        EXPIRED = "expired", _("Expired")
        STILL = "still", _("Session confirmed")
        ESCALATED = "escalated", _("Escalated")
        CONTINUED = "continued", _("Client went on from the join page")

    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16, choices=Kind)
    actor_name = models.CharField(max_length=150, blank=True)  # empty: observed at Getscreen
    precision = models.PositiveIntegerField(null=True)  # seconds, for what polling saw
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "pk"]
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M:%S}"


class Note(models.Model):
    """One version of an invitation's note; the newest is the invitation's own."""

    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=150)
    text = models.TextField(max_length=2000, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "pk"]
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.by_name} {self.at:%Y-%m-%d %H:%M:%S}"


class Outcome(models.Model):
    """How a session may end, for people to choose from when they close an invitation."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_offered = models.BooleanField(_("offered"), default=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]
        verbose_name = _("outcome")
        verbose_name_plural = _("outcomes")

    def __str__(self) -> str:
        return self.name
