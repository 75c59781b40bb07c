"""Single sign-on: who somebody is by the provider's word, whether they may come in, and as what.

A person is the provider's issuer and its name for them (`sub`). E-mail addresses prove nothing here: no
claim ever leads to an account that exists. That takes somebody who is signed in to it and connects it.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest

from portal import audit
from portal.accounts import roles, sessions
from portal.accounts.models import User, administrators, lock_administrator_role
from portal.accounts.openid import GOOGLE, LEEWAY, ProviderError
from portal.audit.kinds import Result
from portal.getscreen.parsing import clean

PROVIDER = "openid_connect"  # in allauth's table and in the session's records
MOST_GROUPS = 2000
LONGEST_SUBJECT = 255  # characters, by the specification
NOT_IN_USER_NAMES = re.compile(r"[^\w.@+-]")


class ClosedAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """What is left of allauth's own pages makes no accounts, and reads no provider from the database."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[Any]:
        return []


@dataclass(frozen=True)
class Identity:
    """What the portal takes from a token's claims, cleaned."""

    subject: str
    email: str
    is_verified: bool
    domain: str
    user_name: str
    first_name: str
    last_name: str
    groups: frozenset[str]
    is_vouched: bool
    signed_in_at: float | None

    @property
    def name(self) -> str:
        """How the person knows the account at the provider."""
        return self.email or self.user_name

    @property
    def uid(self) -> str:
        """The person's name in our table: the same subject at another issuer is somebody else."""
        return hashlib.sha256(f"{settings.OIDC_ISSUER}\n{self.subject}".encode()).hexdigest()


def identity_of(claims: dict[str, Any]) -> Identity:
    """Read a token's claims, which may be anything. Raises ProviderError where nobody can be told from them."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or clean(subject, LONGEST_SUBJECT) != subject:
        raise ProviderError("a person without a name that can be kept")
    email = email_of(claims)
    full_name = clean(claims.get("name"), 150).strip()
    first, _space, last = full_name.partition(" ")
    at = claims.get("auth_time")
    return Identity(
        subject=subject,
        email=email,
        is_verified=claims.get("email_verified", settings.OIDC_TRUST_EMAIL) in (True, "true"),
        domain=domain_of(claims, email),
        user_name=user_name_of(claims, email),
        first_name=clean(claims.get("given_name"), 150).strip() or first,
        last_name=clean(claims.get("family_name"), 150).strip() or last.strip(),
        groups=groups_of(claims),
        is_vouched=is_vouched(claims),
        signed_in_at=min(float(at), time.time()) if isinstance(at, int) and 0 < at < time.time() + LEEWAY else None,
    )


def user_name_of(claims: dict[str, Any], email: str) -> str:
    """Return what to call the person. An address only if it is theirs: at sign-in user names go before addresses."""
    name = NOT_IN_USER_NAMES.sub("", clean(claims.get("preferred_username"), 140))
    is_another_s = "@" in name and name.lower() != email
    return NOT_IN_USER_NAMES.sub("", email.partition("@")[0]) if is_another_s or not name else name


def email_of(claims: dict[str, Any]) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > 254:
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email.lower()


def domain_of(claims: dict[str, Any], email: str) -> str:
    """Return whose the account is. At Google anybody may have one with an address of ours: `hd` says whose it is."""
    if settings.OIDC_ISSUER == GOOGLE:
        return clean(claims.get("hd"), 253).lower()
    return email.rpartition("@")[2]


def groups_of(claims: dict[str, Any]) -> frozenset[str]:
    """Return the values of the claim that OIDC_GROUPS_CLAIM names, with dots between the steps down to it."""
    found: Any = claims.get(settings.OIDC_GROUPS_CLAIM)
    if found is None:
        found = claims
        for step in settings.OIDC_GROUPS_CLAIM.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    elsewhere = claims.get("_claim_names")
    if found is None and isinstance(elsewhere, dict) and settings.OIDC_GROUPS_CLAIM in elsewhere:
        raise ProviderError("groups that are too many for a token")  # Entra ID; not the same as none
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(value for value in values[:MOST_GROUPS] if isinstance(value, str))


def is_vouched(claims: dict[str, Any]) -> bool:
    """Say whether the provider says that a second factor was shown, in words that the settings trust."""
    methods = claims.get("amr")
    said = [method for method in methods if isinstance(method, str)] if isinstance(methods, list) else []
    level = claims.get("acr")
    return bool({*said, level if isinstance(level, str) else ""} & set(settings.OIDC_TRUST_AMR))


# --- Who may come in. Inside the caller's `audit.writing()` ------------------------------------------


def admit(identity: Identity) -> tuple[User | None, str]:
    """Return the person, made now if they are new, their roles as their groups say; and why not, if they may not.

    A reason does not undo what was changed: whoever has lost their groups has lost their roles.
    """
    account = find(identity)
    user: User | None = account.user if account else None
    if user is not None and not user.is_active:
        return user, "disabled"
    if reason := objection(identity):
        return user, reason
    if account is None or user is None:
        if settings.OIDC_ROLES and not roles_for(identity):
            return None, "no_role"
        if User.objects.filter(email__iexact=identity.email).exists():
            return None, "email_taken"
        return make(identity), ""
    keep_name(account, identity)
    give_roles(user, identity)
    is_without = settings.OIDC_ROLES and not user.is_superuser and not user.groups.exists()
    return user, "no_role" if is_without else ""


def find(identity: Identity) -> SocialAccount | None:
    found = SocialAccount.objects.select_related("user").filter(provider=PROVIDER, uid=identity.uid)
    account: SocialAccount | None = found.first()
    return account


def objection(identity: Identity) -> str:
    """Return why nobody with such claims comes in, or ""."""
    if not identity.email or not identity.is_verified:
        return "unverified_email"
    if settings.OIDC_ALLOWED_DOMAINS and identity.domain not in settings.OIDC_ALLOWED_DOMAINS:
        return "foreign_domain"
    return ""


def make(identity: Identity) -> User:
    """Make the account of somebody who comes for the first time."""
    user = User(
        username=free_name(identity),
        email=identity.email,
        first_name=identity.first_name,
        last_name=identity.last_name,
        awaits_approval=settings.OIDC_APPROVE,
    )
    user.set_unusable_password()
    user.save()
    connect(user, identity)
    names = sorted(roles_for(identity))
    user.groups.set(Group.objects.filter(name__in=names))
    fields = {"username": user.username, "email": user.email} | ({"groups": names} if names else {})
    changes = {name: [None, value] for name, value in fields.items()}
    told = {"facts": {"fields": sorted(changes), "by": "single_sign_on"}, "details": {"changes": changes}}
    audit.record("user.created", result=Result.OK, **about(user), **told)
    return user


def connect(user: User, identity: Identity) -> None:
    """Keep who the provider says it is, under which name the person knows that, and nothing else of what it says."""
    kept = {"issuer": settings.OIDC_ISSUER, "subject": identity.subject, "name": identity.name}
    SocialAccount.objects.create(user=user, provider=PROVIDER, uid=identity.uid, extra_data=kept)


def keep_name(account: SocialAccount, identity: Identity) -> None:
    if account.extra_data.get("name") != identity.name:
        account.extra_data["name"] = identity.name
        account.save(update_fields=["extra_data"])


def free_name(identity: Identity) -> str:
    wanted = identity.user_name or "person"
    taken = {
        name.casefold() for name in User.objects.filter(username__istartswith=wanted).values_list("username", flat=True)
    }
    names = (wanted, *(f"{wanted}{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name.casefold() not in taken)


# --- Connected accounts ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """The account at the provider that opens one here, as people see it."""

    name: str  # "" where it was connected before names were kept
    since: datetime


ONLY_WAY, NO_OTHER = "only way", "no other way"  # for everybody here, or for this person


def connection_of(user: User) -> Connection | None:
    account = SocialAccount.objects.filter(user_id=user.pk, provider=PROVIDER).first()
    return Connection(str(account.extra_data.get("name", "")), account.date_joined) if account else None


def why_kept(user: User) -> str:
    """Return why the person could not sign in any more without single sign-on, or ""."""
    if settings.SSO_ONLY:
        return ONLY_WAY
    return "" if user.has_usable_password() else NO_OTHER


def disconnect(user: User, *, by: User, keep: str | None = None) -> None:
    """Take single sign-on off an account, and end its sessions but the one with the key `keep`."""
    count, _models = SocialAccount.objects.filter(user_id=user.pk, provider=PROVIDER).delete()
    if count:
        get_adapter().send_notification_mail("mfa/email/single_sign_on_disconnected", user)
        audit.record("sso.disconnected", result=Result.OK, **about(user) | {"actor": by})
        sessions.end_all(user, reason="provider", by=by, keep=keep)


# --- Roles -------------------------------------------------------------------------------------------


def roles_for(identity: Identity) -> set[str]:
    return {role for group, role in settings.OIDC_ROLES.items() if group in identity.groups}


def give_roles(user: User, identity: Identity) -> None:
    """Give the roles that the groups say and take those they say no more. Roles in no line of OIDC_ROLES stay.

    The last administrator stays one.
    """
    if not settings.OIDC_ROLES:
        return
    lock_administrator_role()
    before = set(user.groups.values_list("name", flat=True))
    after = (before - set(settings.OIDC_ROLES.values())) | roles_for(identity)
    is_last = roles.ADMINISTRATOR in before - after and not administrators().exclude(pk=user.pk).exists()
    if is_last:
        after.add(roles.ADMINISTRATOR)
    after &= set(Group.objects.values_list("name", flat=True))
    if before == after:
        return
    user.groups.set(Group.objects.filter(name__in=after))
    changes = {"groups": [sorted(before), sorted(after)]}
    facts = {"fields": ["groups"], "by": "single_sign_on"} | ({"kept_last_administrator": True} if is_last else {})
    audit.record("user.roles_changed", result=Result.OK, **about(user), facts=facts, details={"changes": changes})
    sessions.end_all(user, reason="roles", by=user)


def about(user: User) -> dict[str, Any]:
    return {"actor": user, "target_type": "user", "target_id": str(user.pk), "target_label": user.username}
