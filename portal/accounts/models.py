"""The people who sign in, their sessions, their one-time links, and what is counted about them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from portal.accounts import roles

NAME_LENGTH = 150
LEADS = "+"  # after the id of a team that somebody leads, where it is read with them


class User(AbstractUser):
    """One person. Roles are groups; a superuser counts as Administrator; `is_staff` alone gives nothing."""

    # Made by the first single sign-on of somebody whom an administrator has not let in yet.
    awaits_approval = models.BooleanField(_("awaits approval"), default=False)
    uses_single_keys = models.BooleanField(_("single-key shortcuts"), default=True)
    # Part of what a mailed link is checked against: see `portal.accounts.reset_tokens`.
    links_ended_at = models.DateTimeField(_("links ended"), null=True, editable=False)
    teams: models.ManyToManyField[Team, Membership] = models.ManyToManyField(
        "Team", through="Membership", related_name="people", verbose_name=_("teams")
    )

    class Meta(AbstractUser.Meta):
        permissions: ClassVar = [("administer", "Open the administration")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"),
                name="accounts_user_email_unique",
                condition=~models.Q(email=""),
                violation_error_message=_("Somebody with this e-mail address exists already."),
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="accounts_user_username_unique",
                violation_error_message=_("Somebody with this user name exists already."),
            ),
        ]

    def clean(self) -> None:
        """Keep addresses in lower case: that is how sign-in and password reset look for them."""
        super().clean()
        self.email = self.email.lower()

    def end_links(self) -> None:
        """End all links that open the account, also those that lie in a mailbox: whoever holds one could come back."""
        self.one_time_links.all().delete()
        User.objects.filter(pk=self.pk).update(links_ended_at=timezone.now())

    @property
    def display_name(self) -> str:
        """Return what others know the person by, no longer than rows that keep it can hold: both names are longer."""
        return (self.get_full_name() or self.username)[:NAME_LENGTH]

    def teams_led(self) -> dict[int, bool]:
        """Return the ids of the person's teams and whether they lead each: as loaded with the person, else as it is."""
        marks = vars(self).get("team_marks", False)
        if marks is False:
            return dict(self.memberships.values_list("team_id", "is_lead"))
        return {int(mark.rstrip(LEADS)): mark.endswith(LEADS) for mark in (marks or "").split()}

    def watched_people(self) -> set[int] | None:
        """Return whose actions are their team's in the audit log; None is everybody's: without teams all are one.

        Those in the teams they lead, in their own that nobody leads, and themselves.
        """
        if not Team.objects.exists():
            return None
        teams = self.teams_led()
        led = set(Membership.objects.filter(team__in=teams, is_lead=True).values_list("team_id", flat=True))
        watched = [team for team, is_lead in teams.items() if is_lead or team not in led]
        return {self.pk, *Membership.objects.filter(team__in=watched).values_list("user_id", flat=True)}

    @cached_property
    def role_names(self) -> list[str]:
        """The names of the person's roles that permit anything: in the order of `roles.ROLES`, then the team's own."""
        names = {roles.ADMINISTRATOR} if self.is_superuser else set()
        names.update(self.groups.filter(permissions__isnull=False).values_list("name", flat=True))
        delivered = [name for name in roles.ROLES if name in names]
        return delivered + sorted(names.difference(delivered))


class Team(models.Model):
    """People who work on the same clients."""

    name = models.CharField(_("name"), max_length=60)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("name"),
                name="accounts_team_name_unique",
                violation_error_message=_("A team with this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one team. Who leads it is told when nobody takes care of a client."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("person"))
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("team"))
    is_lead = models.BooleanField(_("leads the team"), default=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "team"],
                name="accounts_membership_once",
                violation_error_message=_("This person is in the team already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


def administrators() -> models.QuerySet[User]:
    """People who may sign in and open the administration."""
    return User.objects.filter(
        models.Q(is_superuser=True) | models.Q(groups__name=roles.ADMINISTRATOR), is_active=True, awaits_approval=False
    ).distinct()


def lock_administrator_role() -> Group:
    """Let one transaction at a time decide that there is no administrator yet; return the role."""
    return Group.objects.select_for_update().get(name=roles.ADMINISTRATOR)


class OneTimeLinkQuerySet(models.QuerySet["OneTimeLink"]):
    def issue(self, purpose: OneTimeLink.Purpose, user: User | None = None) -> str:
        """Replace every earlier link of that purpose and person by a new one.

        Return its token, which is stored only as a digest.
        """
        self.filter(purpose=purpose, user=user).delete()
        token = secrets.token_urlsafe(32)
        self.create(purpose=purpose, user=user, digest=digest(token), expires_at=timezone.now() + LIFETIMES[purpose])
        return token

    def valid(self, purpose: OneTimeLink.Purpose, token: str) -> OneTimeLinkQuerySet:
        return self.filter(purpose=purpose, digest=digest(token), expires_at__gt=timezone.now())


class OneTimeLink(models.Model):
    """A right that whoever holds the link has once and for a short time: see the purposes."""

    class Purpose(models.TextChoices):
        ADMINISTRATOR = "administrator", _("Enrol as the first administrator")
        INVITE = "invite", _("Choose a password for a new account")
        RESET = "reset", _("Choose a new password")
        SIGN_IN = "sign_in", _("Sign in without single sign-on")

    purpose = models.CharField(max_length=16, choices=Purpose)
    # Nobody's for the first administrator, whose account the link makes.
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="one_time_links")
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    objects = OneTimeLinkQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.purpose} until {self.expires_at}"


LIFETIMES = {
    OneTimeLink.Purpose.ADMINISTRATOR: timedelta(minutes=15),
    OneTimeLink.Purpose.INVITE: timedelta(hours=24),
    OneTimeLink.Purpose.RESET: timedelta(hours=1),
    OneTimeLink.Purpose.SIGN_IN: timedelta(minutes=10),
}


DATA_FIELDS = ("session_data", "expire_date", "user")
BEGINNING_FIELDS = ("created_at", "active_at", "ip", "user_agent")


class Session(AbstractBaseSession):
    """A browser in which somebody is signed in. `active_at` is written at most once a minute; polls do not count."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="sessions")
    created_at = models.DateTimeField(default=timezone.now)
    active_at = models.DateTimeField(default=timezone.now)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)

    is_new = False  # whether it has just become somebody's

    class Meta(AbstractBaseSession.Meta):
        db_table = "accounts_session"
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def save(self, *, force_update: bool = False, **options: Any) -> None:
        """Write the data of an existing session beside what is known of its activity.

        Another request may have noted that in the meantime.
        """
        if force_update:
            options["update_fields"] = DATA_FIELDS + (BEGINNING_FIELDS if self.is_new else ())
        super().save(force_update=force_update, **options)

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from portal.accounts.session_store import SessionStore

        return SessionStore


class Tally(models.Model):
    """How often something happened since a window of time began, for limits that hold across processes."""

    key = models.CharField(max_length=200, unique=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_administrator(user: Any) -> bool:
    return bool(user.is_active and user.has_perm(roles.ADMINISTER))
