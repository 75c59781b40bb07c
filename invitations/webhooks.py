"""Webhooks: where they lead, how they are kept, and one call of one.

An address is refused if it leads into a private network that nobody has listed, when it is saved and at
each call again: the call connects to the very address that was looked at. `docs/webhooks.md` tells
receivers what to check.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from invitations.models import Webhook
from portal.getscreen.errors import GetscreenError
from portal.getscreen.links import is_address, is_host_name
from portal.getscreen.transport import NOT_PUBLIC, Request, Timing, Transport
from portal.getscreen.watch import addresses_of
from portal.sealing import Seal, Unreadable

logger = logging.getLogger(__name__)
seal = Seal("invitations.webhooks")
TIMING = Timing(connect=5, read=10, deadline=10, attempts=1)  # seconds
LOOK_UP = 5.0  # seconds for a name, when an address is saved
LONGEST = 2000  # characters of an address
PLAIN = re.compile(r"https?://[A-Za-z0-9\-._~:/?@!$&'()*+,;=%\[\]]+\Z")
EVENT_WAITING, EVENT_TEST = "client.waiting", "test"


def new_key() -> str:
    """Return 256 random bits, for signatures."""
    return secrets.token_urlsafe(32)


class Address(NamedTuple):
    """An address that a webhook may have, taken apart."""

    url: str
    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ValueError, in words for administrators, for what is no address to call."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        is_named = is_host_name(host) or is_address(host)
        if len(url) > LONGEST or not PLAIN.match(url) or not host or not is_named or port == 0:
            raise ValueError(_("Write an address such as https://chat.example.org/hooks/portal."))
        if parts.username is not None or parts.password is not None:
            raise ValueError(_("User name and password cannot stand in the address."))
        if parts.scheme == "http" and not settings.WEBHOOK_PRIVATE_HOSTS.lists(host):
            raise ValueError(_("Use https. Plain http is for hosts in WEBHOOK_PRIVATE_HOSTS alone."))
        return cls(url, parts.scheme, host, port or (443 if parts.scheme == "https" else 80))

    @property
    def is_listed(self) -> bool:
        return bool(settings.WEBHOOK_PRIVATE_HOSTS.lists(self.host))

    @property
    def proxy(self) -> str:
        return "" if self.is_listed else settings.GETSCREEN_PROXY_URL


def refusal_of(url: str) -> str:
    """Return why a webhook cannot have this address, or nothing. Looks its name up, for some seconds at most."""
    try:
        address = Address.parse(url)
    except ValueError as error:
        return str(error)
    try:
        found = addresses_of(address.host, address.port, LOOK_UP)
    except OSError:
        # A network that goes out by a proxy often knows no names of the world outside.
        return "" if address.proxy else _("There is no server of the name %(host)s.") % {"host": address.host}
    if not all(settings.WEBHOOK_PRIVATE_HOSTS.may_reach(address.host, one) for one in found):
        return _(
            "%(host)s leads into a private network. If the portal may call it, add it to WEBHOOK_PRIVATE_HOSTS."
        ) % {"host": address.host}
    return ""


# --- How they are kept -------------------------------------------------------------------------------


class Target(NamedTuple):
    """What is kept of a webhook encrypted. It has no words of its own, so that no page and no log shows it."""

    url: str
    key: str

    def __repr__(self) -> str:
        return "<Target>"


def target_of(webhook: Webhook) -> Target:
    """Raises Unreadable if no key opens it."""
    return Target(**json.loads(seal.open(webhook.sealed)[0]))


def keep(webhook: Webhook, target: Target) -> None:
    """Put the target into the webhook, which the caller saves."""
    webhook.host = Address.parse(target.url).host
    webhook.sealed = seal.close(json.dumps(target._asdict()))


def place_of(webhook: Webhook) -> int | None:
    """Return the place of the key that opens it: 0 is today's, None is none of them."""
    try:
        return seal.open(webhook.sealed)[1]
    except Unreadable:
        return None


def reseal() -> int:
    """Encrypt with today's SECRET_KEY what only a former one opens; return how many. For the watcher, now and then."""
    count = 0
    for webhook in Webhook.objects.all():
        if place_of(webhook):
            sealed = seal.close(seal.open(webhook.sealed)[0])
            count += Webhook.objects.filter(pk=webhook.pk, sealed=webhook.sealed).update(sealed=sealed)
    return count


def unreadable() -> list[str]:
    """Return the names of the webhooks that no key opens."""
    return [webhook.name for webhook in Webhook.objects.all() if place_of(webhook) is None]


# --- One call ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One signed call of one target. Without a database, so that several can be made side by side."""

    target: Target = field(repr=False)
    payload: dict[str, object] = field(repr=False)
    delivery: str

    def make(self) -> str:
        """Send it; return in our words why it did not arrive, or nothing."""
        try:
            address = Address.parse(self.target.url)
        except ValueError:  # what was allowed when it was saved
            return _("The address is not allowed any more.")
        if address.proxy and self.is_forbidden(address):
            return why_not(NOT_PUBLIC)
        line = Transport(
            session=None,
            proxy_url=address.proxy,
            ca_file=(settings.GETSCREEN_CA_FILE if address.proxy else "") or settings.WEBHOOK_CA_FILE,
            clock=time.monotonic,
            sleep=time.sleep,
        )
        try:
            answer = line.once(self.request(address), time.monotonic() + TIMING.deadline)
        except GetscreenError as error:
            return why_not(error.reason)
        return "" if 200 <= answer.status < 300 else said_no(answer.status)

    def is_forbidden(self, address: Address) -> bool:
        """Look at what the proxy would look up, as far as one can from here."""
        try:
            found = addresses_of(address.host, address.port, TIMING.connect)
        except OSError:
            return False
        return not all(settings.WEBHOOK_PRIVATE_HOSTS.may_reach(address.host, one) for one in found)

    def request(self, address: Address) -> Request:
        body = json.dumps({**self.payload, "delivery": self.delivery}, ensure_ascii=False).encode()
        timestamp = str(int(time.time()))
        return Request(
            operation="webhook",
            method="POST",
            url=address.url,
            timing=TIMING,
            cap=0,  # only the status counts: of the rest a few kilobytes are read and forgotten
            acts=True,
            headers={
                "Content-Type": "application/json",
                "X-Portal-Event": str(self.payload.get("event", "")),
                "X-Portal-Delivery": self.delivery,
                "X-Portal-Timestamp": timestamp,
                "X-Portal-Signature": f"sha256={signature(self.target.key, timestamp, body)}",
            },
            body=body,
            may_reach=partial(settings.WEBHOOK_PRIVATE_HOSTS.may_reach, address.host),
        )


def signature(key: str, timestamp: str, body: bytes) -> str:
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def said_no(status: int) -> str:
    if 300 <= status < 400:
        return _("It answers with a redirect (%(status)s), and those are not followed.") % {"status": status}
    return _("It answers with status %(status)s.") % {"status": status}


def why_not(reason: str) -> str:
    """Return the words for a failure of the network, which `portal.getscreen.transport` names."""
    words = {
        NOT_PUBLIC: _("It leads into a private network, and WEBHOOK_PRIVATE_HOSTS does not list it."),
        "no connection in time": _("It could not be reached in time."),
        "no answer in time": _("It did not answer in time."),
        "no secure connection": _("There is no secure connection to it: its certificate is not accepted."),
        "the proxy refused": _("The proxy did not let it through."),
        "the connection failed": _("The connection to it failed."),
    }
    return words.get(reason, _("Its answer could not be read."))
