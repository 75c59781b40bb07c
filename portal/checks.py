"""Start-up checks with ids: a dangerous or impossible configuration is refused before anybody relies on it."""

from collections.abc import Iterator
from pathlib import Path
from ssl import SSLError
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from portal.audit import syslog
from portal.getscreen import client

SHORTEST_KEY = 20  # characters; Django itself warns below 50


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
def check_secret_key(**_: Any) -> list[CheckMessage]:
    """Refuse a key that can be guessed: whoever has it can forge password resets."""
    if len(settings.SECRET_KEY) < SHORTEST_KEY:
        hint = 'python3 -c "import secrets; print(secrets.token_urlsafe(50))" makes one.'
        return [Error(f"SECRET_KEY is shorter than {SHORTEST_KEY} characters.", hint=hint, id="portal.E007")]
    return []


@register(deploy=True)
def check_plain_http(**_: Any) -> list[CheckMessage]:
    if settings.INSECURE_HTTP and not settings.DEMO:
        hint = "Put a TLS proxy in front and remove INSECURE_HTTP as soon as more than this machine uses it."
        return [Warning("INSECURE_HTTP: passwords and sessions travel unencrypted.", hint=hint, id="portal.W001")]
    return []


@register(deploy=True)
def check_api_key(**_: Any) -> list[CheckMessage]:
    if not settings.GETSCREEN_API_KEY:
        hint = "You find it in your Getscreen profile under Integration → HTTP API."
        return [Warning("GETSCREEN_API_KEY is not set: the board stays empty.", hint=hint, id="portal.W002")]
    return []
