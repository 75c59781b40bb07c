"""Second factors: what counts as one, who needs one, and how allauth keeps them for us.

The records that allauth writes into the session at each step of a sign-in say which steps were taken. The
door (`portal.accounts.middleware.SecondFactorRequired`) reads them on every request.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts import helpdesk, openid, roles, seeds, sessions
from portal.accounts.models import User
from portal.audit.kinds import Result

Type = Authenticator.Type
OWN = (Type.TOTP, Type.WEBAUTHN)  # recovery codes stand in for these, and never alone
NAMES = {Type.TOTP: "totp", Type.WEBAUTHN: "passkey", Type.RECOVERY_CODES: "recovery_code"}
WORDS = {Type.TOTP: "authenticator app", Type.WEBAUTHN: "passkey", Type.RECOVERY_CODES: "recovery codes"}
SINGLE_SIGN_ON = "single_sign_on"
FRESH_SECONDS = 300  # how long a sign-in or a confirmation lets a person change their factors
WANTED_FOR_CONNECT = "fresh_factor"  # key in the session: where Connect has asked for a confirmation
WANTED_PAGE = "wanted_page"  # key in the session: where somebody was going who had to set up their first factor


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's second factors with our names, our address, and seeds that the database does not reveal."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _("This did not work. A code is good for 30 seconds and only once: wait for the next one."),
        "cannot_delete_authenticator": _("You need a second step here, and this is your only one. Add another first."),
    }

    def encrypt(self, text: str) -> str:
        return seeds.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raise ValidationError where the portal's key is another one now: no code can be checked any more."""
        try:
            return seeds.unseal(encrypted_text)
        except seeds.Unreadable:
            raise ValidationError(
                _("Codes cannot be checked, because the portal's key was changed. Ask your administrator for help.")
            ) from None

    def get_totp_issuer(self) -> str:
        return helpdesk.issuer(self.request) or settings.MFA_TOTP_ISSUER

    def get_totp_label(self, user: User) -> str:
        return user.username

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Keep the last one where the policy demands one. It can be replaced."""
        others = Authenticator.objects.filter(user_id=authenticator.user_id, type__in=OWN).exclude(pk=authenticator.pk)
        return not is_demanded_by_policy(authenticator.user) or others.exists()

    def generate_authenticator_name(self, user: User, type: str) -> str:
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return str(_("Passkey %(number)s") % {"number": count + 1})

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return whom passkeys are for: the portal's own host, whatever host was asked for."""
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "", "name": self.get_totp_issuer()}

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        entity: dict[str, Any] = super().get_public_key_credential_user_entity(user)
        return entity | {"name": user.username, "display_name": user.display_name}


class SecondStep(AuthenticateStage):  # type: ignore[misc]
    """The step of a sign-in that asks for the person's factor, unless single sign-on has just vouched for one."""

    def _should_handle(self, request: HttpRequest) -> bool:
        records = get_authentication_records(request, self.login.user)
        return not (records and is_vouched(records[-1])) and bool(super()._should_handle(request))


def seed_of_new_app(request: HttpRequest, *, is_new: bool) -> str:
    """Return the seed of the app that is being set up. The session keeps it encrypted: it lies in the database."""
    sealed = "" if is_new else request.session.get(SECRET_SESSION_KEY, "")
    with suppress(seeds.Unreadable):
        return seeds.unseal(sealed)
    seed: str = generate_totp_secret()
    request.session[SECRET_SESSION_KEY] = seeds.seal(seed)
    return seed


def origin() -> str:
    """Return the portal's address as browsers write an origin: a default port is left out."""
    parts = urlsplit(settings.PUBLIC_URL)
    is_default = parts.port == {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}" if is_default else f"{parts.scheme}://{parts.netloc}"


# --- Who needs one -----------------------------------------------------------------------------------


def is_demanded_by_policy(user: Any) -> bool:
    """Say whether REQUIRE_MFA wants this person to have a second factor."""
    if settings.REQUIRE_MFA == "staff":
        return bool(user.has_perm(roles.ADMINISTER) or user.has_perm(roles.AUDIT_ALL))
    return bool(settings.REQUIRE_MFA == "everyone")


def has_factor(user: Any) -> bool:
    """Say whether the person has a factor of their own. Who signed in was loaded together with the answer."""
    known = getattr(user, "has_factor", None)
    return bool(known) if known is not None else Authenticator.objects.filter(user_id=user.pk, type__in=OWN).exists()


def is_demanded(user: Any) -> bool:
    return is_demanded_by_policy(user) or has_factor(user)


# --- What a session has shown ------------------------------------------------------------------------


def is_strong(request: HttpRequest) -> bool:
    """Say whether this session has passed a second factor, or a provider vouches that it did there."""
    return any(is_factor(record) for record in get_authentication_records(request, request.user))


def is_factor(record: dict[str, Any]) -> bool:
    return is_vouched(record) or (record.get("method") == "mfa" and record.get("type") in NAMES)


def is_vouched(record: dict[str, Any]) -> bool:
    return record.get("method") == "socialaccount" and record.get("vouched") is True


def methods(request: HttpRequest, user: User) -> list[str]:
    """Return the steps by which the person has come in, such as ["password", "totp"], for the log."""
    found = []
    for record in get_authentication_records(request, user):
        method = record.get("method", "")
        name = NAMES.get(record.get("type", ""), "") if method == "mfa" else method
        found.append(SINGLE_SIGN_ON if name == "socialaccount" else name)
    return list(dict.fromkeys(name for name in found if name))


def is_fresh(request: HttpRequest, seconds: float) -> bool:
    """Say whether the person has confirmed in this session that it is them, not longer ago than `seconds`.

    Who has a factor confirms with it; their password alone does not count.
    """
    records = get_authentication_records(request, request.user)
    if has_factor(request.user):
        records = [record for record in records if is_factor(record)]
    return any(0 <= time.time() - record.get("at", 0) < seconds for record in records)


def confirmation_page(request: HttpRequest, destination: str) -> str:
    """Return where the person confirms with what they have; the page to set up a factor if they have nothing."""
    user: User = request.user  # type: ignore[assignment]  # behind the sign-in
    if confirms_at_provider(user):
        name = "single_sign_on_confirm"
    elif not has_factor(user):
        name = "account_reauthenticate" if user.has_usable_password() else "mfa_index"
    elif Authenticator.objects.filter(user_id=user.pk, type=Type.WEBAUTHN).exists():
        name = "mfa_reauthenticate_webauthn"
    else:
        name = "mfa_reauthenticate"
    return f"{reverse(name)}?{urlencode({'next': destination})}"


def confirms_at_provider(user: Any) -> bool:
    """Say whether a person has nothing to confirm with but a sign-in at the provider."""
    if has_factor(user) or user.has_usable_password() or not openid.is_configured():
        return False
    return bool(SocialAccount.objects.filter(user_id=user.pk).exists())


def remember_wanted_page(request: HttpRequest) -> None:
    """Keep where somebody was going, past the pages on which they set up their first factor."""
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        request.session[WANTED_PAGE] = wanted


def take_wanted_page(request: HttpRequest) -> str:
    """Return that page, once; the board if there is none."""
    return request.session.pop(WANTED_PAGE, "") or reverse("board")


def confirm_for_connect(request: HttpRequest, destination: str) -> str:
    """Return the page to confirm on, and remember that it is Connect that wants it."""
    request.session[WANTED_FOR_CONNECT] = destination
    return confirmation_page(request, destination)


def is_for_connect(request: HttpRequest) -> bool:
    wanted = request.session.get(WANTED_FOR_CONNECT)
    return wanted is not None and wanted == get_next_redirect_url(request)


# --- Changes. Each inside the caller's transaction ---------------------------------------------------


def added(request: HttpRequest, authenticator: Authenticator, *, has_new_codes: bool) -> None:
    """Count the new factor for this session, which has just shown it; end the others; record it."""
    user: User = request.user  # type: ignore[assignment]  # behind the sign-in
    record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)
    record("factor.added", user, by=user, facts={"type": WORDS[authenticator.type]})
    if has_new_codes:
        record("factor.recovery_codes", user, by=user)
    sessions.end_others(request, user, reason="factor")


def removed(request: HttpRequest, type: str) -> None:
    user: User = request.user  # type: ignore[assignment]  # behind the sign-in
    record("factor.removed", user, by=user, facts={"type": WORDS[Type(type)]})
    sessions.end_others(request, user, reason="factor")


def reset(user: User, *, by: Any) -> int:
    """Take every factor from a person who has lost theirs, and end all their sessions. Return how many there were."""
    found = list(Authenticator.objects.filter(user=user).order_by("pk"))
    for authenticator in found:
        authenticator.delete()
        record("factor.removed", user, by=by, facts={"type": WORDS[authenticator.type]})
    sessions.end_all(user, reason="factor", by=by)
    return len(found)


def record(kind: str, user: User, *, by: Any, result: Result = Result.OK, **more: Any) -> None:
    about = {"target_type": "user", "target_id": str(user.pk), "target_label": user.username}
    audit.record(kind, result=result, actor=by, **about, **more)
