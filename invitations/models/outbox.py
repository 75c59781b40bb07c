"""What leaves the portal for clients, leads and other systems, and how that went."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invitations.models.invitation import Invitation, new_public_id


class MessageTemplate(models.Model):
    """What a client is sent or shown, in one language. Placeholders in braces: `invitations.messages`."""

    language = models.CharField(_("language"), max_length=12, unique=True)  # a code such as "de"
    subject = models.CharField(_("subject of the mail"), max_length=150)
    body = models.TextField(_("message"), max_length=4000)

    class Meta:
        ordering: ClassVar = ["language"]
        verbose_name = _("message to clients")
        verbose_name_plural = _("messages to clients")

    def __str__(self) -> str:
        return self.language


class Webhook(models.Model):
    """An address that is told about clients who wait. Address and signing key are encrypted."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    host = models.CharField(max_length=260, editable=False)  # all of the address that is ever shown
    sealed = models.TextField(editable=False)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One mail or one call of a webhook, from its order to its end.

    What is waiting is tried in the order of `pk`; a webhook gets nothing while an earlier one of its own waits.
    """

    class Kind(models.TextChoices):
        MAIL = "mail", _("Mail")
        WEBHOOK = "webhook", _("Webhook")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Given up")
        CANCELLED = "cancelled", _("No longer needed")

    public_id = models.CharField(max_length=32, unique=True, default=new_public_id, editable=False)
    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    invitation = models.ForeignKey(Invitation, null=True, on_delete=models.CASCADE, related_name="deliveries")
    webhook = models.ForeignKey(Webhook, null=True, on_delete=models.CASCADE, related_name="deliveries")
    to = models.CharField(max_length=254, blank=True)  # of a mail; erased with its text once it has ended
    subject = models.CharField(max_length=200, blank=True)
    body = models.TextField(blank=True)
    payload = models.JSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=150, blank=True)  # empty: the portal itself
    ordered_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    trouble = models.CharField(max_length=200, blank=True)  # why the last attempt failed

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ("view",)
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="invitations_delivery_due", condition=Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"


class Escalation(models.Model):
    """A step that was taken for one client's one wait, so that none is taken twice."""

    class Step(models.TextChoices):
        WEBHOOK = "webhook", _("Webhooks were called")
        MAIL = "mail", _("Leads got a mail")

    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="escalations")
    joined_at = models.DateTimeField()  # when the wait began: the client came, or was given back
    step = models.CharField(max_length=8, choices=Step)
    at = models.DateTimeField(default=timezone.now)
    held_back = models.CharField(max_length=20, blank=True)  # by quiet hours, the flood limit, or nobody to tell

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["invitation", "joined_at", "step"],
                name="invitations_escalation_once",
                violation_error_message=_("This step was taken already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.at:%Y-%m-%d %H:%M:%S}"
