"""Start-up checks with ids: a dangerous or impossible configuration is refused before anybody relies on it."""

import stat
from collections.abc import Iterator
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.checks import ERROR, CheckMessage, Error, Warning, register, run_checks
from django.db import DatabaseError

from portal.accounts import openid, roles
from portal.audit import syslog
from portal.getscreen import client
from portal.getscreen.links import is_loopback

TOLERATED = ("mail.E001",)  # mails that are written to a folder, as in a lab
SHORTEST_KEY = 50  # characters
FEWEST_CHARACTERS = 10  # different ones
HOW_TO = "docs/sign-in.md says what to enter for which provider."


def is_dangerous(message: CheckMessage) -> bool:
    """Say whether the portal must not run with it. What is not is unwise at most."""
    return message.level >= ERROR and message.id not in TOLERATED


def outspoken() -> list[CheckMessage]:
    """Run all checks and return what nobody has silenced."""
    return [one for one in run_checks(include_deployment_checks=True) if not one.is_silenced()]


@register()
def check_getscreen(**_: Any) -> list[CheckMessage]:
    """Refuse addresses and paths that would send the key or an operator to the wrong place."""
    return list(getscreen_problems())


def getscreen_problems() -> Iterator[CheckMessage]:
    rules = (
        ("E001", "GETSCREEN_API_URL", client.validate_base_url),
        ("E002", "GETSCREEN_CONNECT_PATH", client.validate_connect_path),
        ("E005", "GETSCREEN_UPDATE_PATH", client.validate_update_path),
        ("E006", "GETSCREEN_PROXY_URL", client.validate_proxy_url),
    )
    for number, name, validate in rules:
        try:
            validate(getattr(settings, name))
        except ValueError as error:
            yield Error(f"{name}: {error}", hint=f"Correct or remove {name}.", id=f"portal.{number}")
    if settings.GETSCREEN_CA_FILE and not Path(settings.GETSCREEN_CA_FILE).is_file():
        yield Error("GETSCREEN_CA_FILE names a file that does not exist.", id="portal.E003")


@register()
def check_syslog(**_: Any) -> list[CheckMessage]:
    """Refuse an address to which no event could be sent, and a file without certificates."""
    found: list[CheckMessage] = []
    if settings.SYSLOG_URL:
        try:
            syslog.Target.parse(settings.SYSLOG_URL)
        except ValueError:
            found.append(Error(f"SYSLOG_URL must look like {syslog.EXAMPLE}.", id="portal.E008"))
    if settings.SYSLOG_CA_FILE:
        try:
            syslog.context(settings.SYSLOG_CA_FILE)
        except OSError as error:
            reason = "cannot be read" if not isinstance(error, SSLError) else "holds no certificates"
            found.append(Error(f"SYSLOG_CA_FILE names a file that {reason}.", id="portal.E009"))
    return found


@register()
def check_hosts(**_: Any) -> list[CheckMessage]:
    if any(host.strip() in ("*", ".") for host in settings.ALLOWED_HOSTS):
        hint = "List the portal's own host names: forged ones end up in links of e-mails."
        return [Error("ALLOWED_HOSTS must not contain '*'.", hint=hint, id="portal.E004")]
    return []


@register()
def check_secret_keys(**_: Any) -> list[CheckMessage]:
    """Refuse a key that can be guessed: whoever has it can forge password resets and read second factors."""
    hint = 'python3 -c "import secrets; print(secrets.token_urlsafe(50))" makes one.'
    keys = {"SECRET_KEY": [settings.SECRET_KEY], "SECRET_KEY_FALLBACKS": settings.SECRET_KEY_FALLBACKS}
    return [
        Error(
            f"{name} must be random and have {SHORTEST_KEY} characters or more. This one can be guessed.",
            hint=hint,
            id="portal.E007",
        )
        for name, values in keys.items()
        if any(is_weak(value) for value in values)
    ]


def is_weak(key: str) -> bool:
    return len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_CHARACTERS or key.startswith("django-insecure-")


@register(deploy=True)
def check_encryption(**_: Any) -> list[CheckMessage]:
    """Refuse passwords in the clear and code in error pages, unless somebody has said so and nobody else is near."""
    return list(encryption_problems())


def encryption_problems() -> Iterator[CheckMessage]:
    address = urlsplit(settings.PUBLIC_URL)
    is_public = not is_loopback(address.hostname or "")
    if settings.DEBUG and is_public:
        hint = "Remove DEBUG: error pages would show code and settings to everybody."
        yield Error(f"DEBUG is on, and PUBLIC_URL is {settings.PUBLIC_URL}.", hint=hint, id="portal.E010")
    if settings.INSECURE_HTTP and not settings.DEMO:
        hint = "Put a TLS proxy in front and remove INSECURE_HTTP as soon as more than this machine uses it."
        yield Warning("INSECURE_HTTP: passwords and sessions travel unencrypted.", hint=hint, id="portal.W001")
    elif address.scheme == "http" and not settings.INSECURE_HTTP:
        hint = "Set it to the address that people open, https://…, or INSECURE_HTTP=1 in a lab."
        yield Error(f"PUBLIC_URL is {settings.PUBLIC_URL}, without encryption.", hint=hint, id="portal.E011")


@register()
def check_session_limits(**_: Any) -> list[CheckMessage]:
    """Refuse an idle limit that could never act, because another one is shorter."""
    hint = "Make SESSION_IDLE_ADMIN_MINUTES the shortest and SESSION_HOURS the longest of the three."
    administrators, everybody = settings.SESSION_IDLE_ADMIN_MINUTES, settings.SESSION_IDLE_HOURS * 60
    if administrators <= everybody <= settings.SESSION_HOURS * 60:
        return []
    return [Error("The limits of sessions contradict each other.", hint=hint, id="portal.E019")]


@register()
def check_proxies(**_: Any) -> list[CheckMessage]:
    if any(network.prefixlen == 0 for network in settings.TRUSTED_PROXIES):
        hint = "List the proxy's own addresses: anybody could choose the address that the audit log keeps."
        return [Error("TRUSTED_PROXIES trusts every address.", hint=hint, id="portal.E012")]
    return []


@register()
def check_single_sign_on(**_: Any) -> list[CheckMessage]:
    """Refuse settings that would let the wrong people in, or nobody."""
    return list(single_sign_on_problems())


def single_sign_on_problems() -> Iterator[CheckMessage]:
    needed = {"OIDC_ISSUER": settings.OIDC_ISSUER, "OIDC_CLIENT_ID": settings.OIDC_CLIENT_ID}
    missing = " and ".join(name for name, value in needed.items() if not value)
    if missing and (any(needed.values()) or settings.OIDC_CLIENT_SECRET or settings.OIDC_ROLES):
        yield Error(f"Single sign-on is set in part. Missing: {missing}.", hint=HOW_TO, id="portal.E013")
    elif missing and settings.SSO_ONLY:
        hint = "Set a provider, or remove SSO_ONLY: nobody could sign in."
        yield Error("SSO_ONLY is on, and there is no single sign-on.", hint=hint, id="portal.E014")
    if settings.OIDC_ISSUER and not is_sound_issuer(settings.OIDC_ISSUER):
        yield Error("OIDC_ISSUER must look like https://sso.example.org/realm.", hint=HOW_TO, id="portal.E015")
    if unknown := unknown_roles():
        hint = f"The roles are {', '.join(roles.ROLES)}, and those that you have made yourselves."
        yield Error(f"OIDC_ROLES names what is no role: {', '.join(unknown)}.", hint=hint, id="portal.E016")
    is_open_to_all = settings.OIDC_ISSUER == openid.GOOGLE and not settings.OIDC_ALLOWED_DOMAINS
    if is_open_to_all and not settings.OIDC_APPROVE:
        hint = "Set OIDC_ALLOWED_DOMAINS to your own, or OIDC_APPROVE=1."
        yield Error("Everybody with a Google account could sign in.", hint=hint, id="portal.E017")
    if settings.OIDC_CA_FILE and not Path(settings.OIDC_CA_FILE).is_file():
        yield Error("OIDC_CA_FILE names a file that does not exist.", hint=HOW_TO, id="portal.E018")


def unknown_roles() -> list[str]:
    """Return the roles in OIDC_ROLES that nobody has made. Nothing is unknown while there is no database to ask."""
    own = set(settings.OIDC_ROLES.values()) - set(roles.ROLES)
    if own:
        try:
            own -= set(Group.objects.filter(name__in=own).values_list("name", flat=True))
        except DatabaseError:
            return []
    return sorted(own)


def is_sound_issuer(address: str) -> bool:
    """Say whether a provider may be there: by https, or on this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        is_plain = not (parts.query or parts.fragment or parts.username or parts.port == 0)
    except ValueError:
        return False
    return bool(host) and is_plain and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


@register(deploy=True)
def check_secret_files(**_: Any) -> list[CheckMessage]:
    """Warn about secrets that every account of the machine can read. A container's mounted ones are its own."""
    return [
        Warning(f"Everybody on this machine can read {file}.", hint=f"chmod o= {file}", id="portal.W004")
        for file in settings.SECRET_FILES
        if not file.is_relative_to("/run/secrets") and file.stat().st_mode & stat.S_IROTH
    ]


@register(deploy=True)
def check_api_key(**_: Any) -> list[CheckMessage]:
    if not settings.GETSCREEN_API_KEY:
        hint = "You find it in your Getscreen profile under Integration → HTTP API."
        return [Warning("GETSCREEN_API_KEY is not set: the board stays empty.", hint=hint, id="portal.W002")]
    return []
