"""How a request learns who is signed in and what they may do: one statement for both.

Every page and every poll needs the person and their permissions. Django asks three times; this
reads them together. Sign-in itself is allauth's.
"""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, OuterRef, Q, QuerySet, StringAgg, Subquery, Value
from django.db.models.functions import Concat

from portal.accounts.models import User
from portal.prepared import ByKey


class Backend(AuthenticationBackend):  # type: ignore[misc]
    """Signs people in by user name or e-mail address; loads them with their permissions."""

    def get_user(self, user_id: Any) -> User | None:
        user = people.get(user_id)
        may_be_here = user is not None and self.user_can_authenticate(user) and not user.awaits_approval
        return user if may_be_here else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return permissions as "app.codename"; those loaded with the person where that was done here."""
        names = vars(user_obj).get("permission_names", False)
        if names is False or obj is not None or user_obj.is_superuser or not user_obj.is_active:
            return set(super().get_all_permissions(user_obj, obj))
        return set((names or "").split())


def with_permissions() -> QuerySet[User]:
    """People with `permission_names`, those of their roles and their own, between spaces; and `has_factor`."""
    # Subqueries, not joins: these read one person's roles, a join everybody's who has them.
    roles = User.groups.through.objects.filter(user=OuterRef(OuterRef(OuterRef("pk"))))
    of_roles = Group.permissions.through.objects.filter(group__in=roles.values("group"))
    own = User.user_permissions.through.objects.filter(user=OuterRef(OuterRef("pk")))
    theirs = Q(pk__in=of_roles.values("permission")) | Q(pk__in=own.values("permission"))
    name = Concat("content_type__app_label", Value("."), "codename")
    permissions = Permission.objects.filter(theirs).order_by().annotate(one=Value(1)).values("one")
    names = Subquery(permissions.annotate(names=StringAgg(name, Value(" "))).values("names"))
    # Recovery codes are no factor by themselves.
    factors = Authenticator.objects.filter(user=OuterRef("pk")).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return User.objects.annotate(permission_names=names, has_factor=Exists(factors))


people = ByKey(with_permissions)
