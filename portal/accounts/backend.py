"""How a password is checked, and how a request learns who is signed in and what they may do.

Every page and every poll needs the person and their permissions. Django asks three times; this
reads them together.
"""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, StringAgg, Subquery, Value, When
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest

from portal.accounts import passwords
from portal.accounts.models import LEADS, Membership, User
from portal.accounts.tries import folded
from portal.prepared import ByKey


class Backend(AuthenticationBackend):  # type: ignore[misc]
    """Signs people in by user name or e-mail address; loads them with their permissions."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """Return the person whose password it is, if they may come in. One hash, whoever was named.

        Unknown and disabled people, those who wait for approval and those without a password cannot be told apart,
        neither by what is answered nor by how long it takes. allauth would hash twice for an e-mail address.
        """
        password = str(credentials.get("password") or "")
        if not password or len(password) > passwords.LONGEST:
            return None
        user = find(str(credentials.get("username") or credentials.get("email") or ""))
        if user is None:
            User().set_password(password)
            return None
        is_right = user.check_password(password)
        return user if is_right and self.user_can_authenticate(user) and not user.awaits_approval else None

    def get_user(self, user_id: Any) -> User | None:
        user = people.get(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Neither a disabled person nor one whom nobody has let in yet is anybody, on any request."""
        return bool(super().user_can_authenticate(user)) and not user.awaits_approval

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return permissions as "app.codename"; those loaded with the person where that was done here."""
        names = vars(user_obj).get("permission_names", False)
        if names is False or obj is not None or user_obj.is_superuser or not user_obj.is_active:
            return set(super().get_all_permissions(user_obj, obj))
        return set((names or "").split())


def find(name: str) -> User | None:
    """Return who is meant by a user name or else an e-mail address, in any case. One statement for every answer.

    What a database takes for the same, beyond what limits count together, is nobody.
    """
    wanted = folded(name)
    found = list(User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).order_by("pk"))
    by_name = [user for user in found if folded(user.username) == wanted]
    by_address = [user for user in found if folded(user.email) == wanted]
    return next(iter(by_name + by_address), None)


def with_permissions() -> QuerySet[User]:
    """People with `permission_names`, those of their roles and their own, `team_marks` and `has_factor`.

    Names and marks stand between spaces; a mark is what `User.teams_led` reads.
    """
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
    mark = Concat(Cast("team_id", CharField()), Case(When(is_lead=True, then=Value(LEADS)), default=Value("")))
    teams = Membership.objects.filter(user=OuterRef("pk")).order_by().annotate(one=Value(1)).values("one")
    marks = Subquery(teams.annotate(marks=StringAgg(mark, Value(" "))).values("marks"))
    return User.objects.annotate(permission_names=names, team_marks=marks, has_factor=Exists(factors))


people = ByKey(with_permissions)
