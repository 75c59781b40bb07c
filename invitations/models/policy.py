"""What administrators decide for everybody, and what people choose for themselves."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.prepared import ByKey


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

    class Visibility(models.TextChoices):
        EVERYONE = "everyone", _("Everybody sees every invitation")
        TEAMS = "teams", _("People see their own teams' invitations")

    class Link(models.TextChoices):
        VENDOR = "vendor", _("Getscreen's link")
        JOIN = "join", _("The portal's own page")

    class SupporterName(models.TextChoices):
        NONE = "none", _("No name")
        FIRST = "first", _("First name")
        FULL = "full", _("Full name")

    helpdesk_name = models.CharField(_("helpdesk's name"), max_length=60, default="Helpdesk")
    recording = models.CharField(_("recording"), max_length=8, choices=Recording, default=Recording.DEFAULT)
    previews = models.CharField(_("desktop previews"), max_length=8, choices=Previews, default=Previews.CLICK)
    is_ticket_required = models.BooleanField(_("every invitation needs a ticket"), default=False)
    is_reason_enough = models.BooleanField(_("a reason is enough without a ticket"), default=False)
    ticket_pattern = models.CharField(_("what a ticket looks like"), max_length=200, blank=True)
    is_outcome_required = models.BooleanField(_("closing needs an outcome"), default=False)
    visibility = models.CharField(_("who sees what"), max_length=8, choices=Visibility, default=Visibility.EVERYONE)
    is_private_allowed = models.BooleanField(_("private invitations"), default=False)
    shared_link = models.CharField(_("link for clients"), max_length=6, choices=Link, default=Link.VENDOR)
    supporter_name = models.CharField(
        _("supporter's name on the client's page"), max_length=5, choices=SupporterName, default=SupporterName.FIRST
    )
    # 0 switches off whatever follows.
    expires_after_hours = models.PositiveSmallIntegerField(_("hours until an unused invitation expires"), default=24)
    orphaned_after_minutes = models.PositiveSmallIntegerField(
        _("minutes until an absent person's client returns to the queue"), default=15
    )
    long_session_hours = models.PositiveSmallIntegerField(_("hours after which a session is asked about"), default=6)
    erased_after_days = models.PositiveSmallIntegerField(
        _("days until names and notes are erased"), default=0, db_default=0
    )
    escalate_page_seconds = models.PositiveSmallIntegerField(_("seconds until pages get louder"), default=60)
    escalate_webhook_seconds = models.PositiveSmallIntegerField(_("seconds until webhooks are called"), default=120)
    escalate_mail_seconds = models.PositiveSmallIntegerField(_("seconds until leads get a mail"), default=300)
    escalations_per_hour = models.PositiveSmallIntegerField(_("escalations in an hour at most"), default=30)
    quiet_from = models.TimeField(_("quiet hours from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet hours until"), null=True, blank=True)
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
        """Return the one row, made by the first who asks. Every request and every action comes here."""
        return policies.get(1) or cls.objects.get_or_create(pk=1)[0]


policies = ByKey(lambda: Policy.objects.order_by())


class Logo(models.Model):
    """The helpdesk's logo as the portal drew it anew: one row at most. The policy names its digest."""

    png = models.BinaryField()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(_("Logo"))
