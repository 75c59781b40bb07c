"""The people who sign in, their roles, and the one-time link that enrols the first administrator."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from portal.accounts import roles

ENROLMENT_LIFETIME = timedelta(minutes=15)


class User(AbstractUser):
    """One person. Roles are groups; a superuser counts as Administrator; `is_staff` alone gives nothing."""

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

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    @cached_property
    def role_names(self) -> list[str]:
        """The names of the person's roles, in the order of `roles.ROLES`."""
        names = {roles.ADMINISTRATOR} if self.is_superuser else set()
        names.update(self.groups.values_list("name", flat=True))
        return [name for name in roles.ROLES if name in names]


def administrators() -> models.QuerySet[User]:
    """Active people who may open the administration."""
    return User.objects.filter(
        models.Q(is_superuser=True) | models.Q(groups__name=roles.ADMINISTRATOR), is_active=True
    ).distinct()


def lock_administrator_role() -> Group:
    """Let one transaction at a time decide that there is no administrator yet; return the role."""
    return Group.objects.select_for_update().get(name=roles.ADMINISTRATOR)


class EnrolmentQuerySet(models.QuerySet["Enrolment"]):
    def issue(self) -> str:
        """Replace every earlier link by a new one and return its token, which is stored only as a digest."""
        self.all().delete()
        token = secrets.token_urlsafe(32)
        self.create(digest=digest(token), expires_at=timezone.now() + ENROLMENT_LIFETIME)
        return token

    def valid(self, token: str) -> EnrolmentQuerySet:
        return self.filter(digest=digest(token), expires_at__gt=timezone.now())


class Enrolment(models.Model):
    """The right to become the first administrator: one use, 15 minutes, only while there is none."""

    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    objects = EnrolmentQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"until {self.expires_at}"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_administrator(user: Any) -> bool:
    return bool(user.is_active and user.has_perm(roles.ADMINISTER))
