"""What the portal knows: invitations, what happened to them, how fresh it is, and operations under way."""

from __future__ import annotations

import secrets
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.accounts import roles
from portal.prepared import ByKey

if TYPE_CHECKING:
    from portal.accounts.models import User

LATE_AFTER = timedelta(hours=1)
RECENTLY_CLOSED = timedelta(minutes=15)
# Longer than any deadline of the client plus waits for the database.
ABANDONED_AFTER = timedelta(seconds=60)
UNSETTLED_ON_BOARD = timedelta(hours=24)
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


def new_public_id() -> str:
    """Return 128 random bits for addresses: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(16)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def visible_to(self, user: User) -> InvitationQuerySet:
        """Everybody with a role sees every invitation until teams come; others see none."""
        return self.all() if user.has_perm(roles.SEE) else self.none()

    def open(self) -> InvitationQuerySet:
        return self.exclude(status=Status.CLOSED)

    def of_account(self, fingerprint: str) -> InvitationQuerySet:
        return self.filter(account=fingerprint)

    def closed(self, query: str = "", *, may_see_codes: bool = False) -> InvitationQuerySet:
        """Return closed ones, the last closed first: all, or those in which a text or (if seen) a code is found."""
        rows = self.filter(status=Status.CLOSED).order_by("-closed_at", "-pk")
        if not query:
            return rows
        fields = ("client_name", "ticket", "created_by_name", "taken_by_name", "note")
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
    note = models.TextField(_("note"), max_length=2000, blank=True)
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
    joined_at = models.DateTimeField(null=True, blank=True)  # first seen by polling
    active_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, db_index=True)
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
        indexes: ClassVar = [models.Index(fields=["status", "closed_at"], name="invitations_on_board")]

    def __str__(self) -> str:
        return self.display_name

    @property
    def has_name(self) -> bool:
        return bool(self.client_name)

    @property
    def display_name(self) -> str:
        return self.client_name or str(_("No name yet"))

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
    def masked_code(self) -> str:
        return f"…{self.code[-3:]}" if self.code else ""

    @property
    def is_open(self) -> bool:
        return self.status != Status.CLOSED

    @property
    def is_late(self) -> bool:
        return self.status == Status.WAITING and timezone.now() - self.created_at > LATE_AFTER

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
    note = models.TextField(blank=True)
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

    @classmethod
    def load(cls) -> Snapshot:
        """Return the one row, made by the first who asks. Every request and every poll comes here."""
        return snapshots.get(1) or cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def bump(cls) -> int:
        """Move the revision, because a person could see a difference, and return the new one.

        Inside a transaction no other can move it until the end, so the number belongs to this change alone.
        """
        cls.objects.filter(pk=1).update(revision=F("revision") + 1)
        return cls.load().revision


snapshots = ByKey(Snapshot.objects.all)


class AlertChoice(models.Model):
    """How one person wants to be told that a client has joined. The browser has to allow it as well."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_choice")
    sound = models.BooleanField(_("sound"), default=False)
    notification = models.BooleanField(_("desktop notification"), default=False)

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(self.user)


class Policy(models.Model):
    """What administrators decide for everybody: one row."""

    class Recording(models.TextChoices):
        DEFAULT = "default", _("As set at Getscreen")
        ON = "on", _("Always record")
        OFF = "off", _("Never record")
        ASK = "ask", _("Ask at each connection")

    class Previews(models.TextChoices):
        SHOWN = "shown", _("Shown on the board")
        CLICK = "click", _("Shown after a click")
        OFF = "off", _("Never shown")

    helpdesk_name = models.CharField(_("helpdesk's name"), max_length=60, default="Helpdesk")
    recording = models.CharField(_("recording"), max_length=8, choices=Recording, default=Recording.DEFAULT)
    previews = models.CharField(_("desktop previews"), max_length=8, choices=Previews, default=Previews.CLICK)
    is_ticket_required = models.BooleanField(_("every invitation needs a ticket"), default=False)
    # 0 switches a limit off.
    fresh_factor_minutes = models.PositiveSmallIntegerField(_("minutes a confirmation lasts"), default=0)
    connects_per_ten_minutes = models.PositiveSmallIntegerField(_("connections per person in 10 minutes"), default=20)
    creates_per_hour = models.PositiveSmallIntegerField(_("invitations per person in an hour"), default=60)
    accent = models.CharField(_("colour"), max_length=7, blank=True)
    logo_digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policy")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return str(_("Policy"))

    @classmethod
    def load(cls) -> Policy:
        return cls.objects.get_or_create(pk=1)[0]


class Logo(models.Model):
    """The helpdesk's logo as the portal drew it anew: one row at most. The policy names its digest."""

    png = models.BinaryField()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(_("Logo"))
