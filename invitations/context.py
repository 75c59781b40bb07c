"""What every page knows: the helpdesk's name, what the viewer may do, how fresh the facts are."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from invitations.branding import digest_of, integrity_of
from invitations.health import Health, health_of
from invitations.models import Policy, Snapshot
from portal.accounts import openid
from portal.accounts.access import Access

THEMES = ("light", "dark")


def site(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Reads policy and snapshot once per request."""
    user = getattr(request, "user", None)
    theme = request.COOKIES.get("theme", "")
    policy = policy_of(request)
    context: dict[str, Any] = {
        "portal": {
            "name": policy.helpdesk_name,
            "logo": policy.logo_digest,
            "accent": digest_of(policy.accent),
            "accent_integrity": integrity_of(policy.accent),
            "is_demo": settings.DEMO,
            "is_insecure": settings.INSECURE_HTTP,
            "release": settings.RELEASE,
            "single_sign_on": settings.OIDC_NAME if openid.is_configured() else "",
            "is_sso_only": settings.SSO_ONLY,
            "theme": theme if theme in THEMES else "",
        },
        "server_now": timezone.now(),
    }
    if user is not None and user.is_authenticated:
        context |= {"may": Access(user), "health": health(request)}
    return context


def policy_of(request: HttpRequest) -> Policy:
    if not hasattr(request, "_policy"):
        request._policy = Policy.load()  # type: ignore[attr-defined]
    policy: Policy = request._policy  # type: ignore[attr-defined]
    return policy


def snapshot_of(request: HttpRequest) -> Snapshot:
    if not hasattr(request, "_snapshot"):
        request._snapshot = Snapshot.load()  # type: ignore[attr-defined]
    snapshot: Snapshot = request._snapshot  # type: ignore[attr-defined]
    return snapshot


def health(request: HttpRequest) -> Health:
    return health_of(snapshot_of(request), timezone.now())
