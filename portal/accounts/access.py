"""The questions pages ask about the person who looks at them, and the guard in front of views."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from portal.accounts import roles
from portal.accounts.models import User

View = Callable[..., HttpResponseBase]


class NotVisible(Http404):
    """Nothing that the person may see is at this address. What they read instead of the usual words, if anything."""


class SignedInRequest(HttpRequest):
    """A request behind the sign-in, for annotations: its user is one of ours."""

    user: User


class Access:
    """What one person may do, as the booleans templates read."""

    def __init__(self, user: User | AnonymousUser) -> None:
        # One set instead of a dozen questions; a superuser has every permission without being asked for them.
        may = user.has_perm if user.is_superuser else user.get_all_permissions().__contains__
        self.see_board = may(roles.SEE)
        self.see_codes = may(roles.SEE_CODES)
        self.create = may(roles.CREATE)
        self.connect = may(roles.CONNECT)
        self.manage_own = may(roles.MANAGE_OWN)
        self.manage_any = may(roles.MANAGE_ANY)
        self.see_audit = any(may(permission) for permission in AUDIT)
        self.export_evidence = may(roles.AUDIT_ALL)
        self.administer = may(roles.ADMINISTER)


AUDIT = (roles.AUDIT_OWN, roles.AUDIT_TEAM, roles.AUDIT_ALL)


def require(*permissions: str) -> Callable[[View], View]:
    """Refuse a view to people who have none of `permissions`."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not any(request.user.has_perm(permission) for permission in permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return guard
