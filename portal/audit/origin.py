"""Where the current request comes from, so that an event can say it without anybody passing it along."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.crypto import salted_hmac

from portal import log


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the one form of an address that databases, limits and lists of proxies agree on.

    Without the zone of a link-local one, and IPv4 as such where the server listens on IPv6.
    """
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def network_of(text: str) -> str:
    """Return whom limits count together: an IPv4 address, or the /64 that one IPv6 customer has."""
    ip = parse_address(text)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return str(ip or "")


def wider_network_of(text: str) -> str:
    """Return as much of an address as an event keeps for ever: /24 or /48."""
    ip = parse_address(text)
    if ip is None:
        return ""
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


@dataclass(frozen=True, slots=True)
class Origin:
    """The network side of a request. Empty for commands and the watcher."""

    ip: str | None = None
    user_agent: str = ""
    auth_method: str = ""
    session: str = ""  # a tag of the session: the same for what was done in it, and useless to enter it
    is_proxied: bool = False  # the address was told by a trusted proxy
    is_request: bool = False


NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def current() -> Origin:
    return _current.get()


@contextmanager
def remembered(origin: Origin) -> Iterator[None]:
    """Be at an origin again: what is sent bit by bit goes on after its request's middleware has ended."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)


class RememberOrigin:
    """Keep the request's origin for as long as the request lasts."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with remembered(of_request(request)):
            return self.get_response(request)


SECRET_PARTS = ("token", "key", "code")  # of addresses that are themselves a right: enrolment, password reset, joining


def path_of(request: HttpRequest) -> str:
    """Return the path as an event may keep it: whoever reads the log must not be able to use it."""
    path: str = request.path
    try:
        match = request.resolver_match or resolve(request.path_info)  # middleware comes before the view is found
    except Resolver404:  # such as a link whose last slash was lost
        return log.masked(path)
    for name, value in match.kwargs.items():
        if name in SECRET_PARTS:
            path = path.replace(str(value), "…")
    return path


def of_request(request: HttpRequest) -> Origin:
    methods = request.session.get("account_authentication_methods") or [{}]
    return Origin(
        ip=str(parse_address(request.META.get("REMOTE_ADDR", "")) or "") or None,
        user_agent=request.headers.get("User-Agent", "").replace("\x00", "")[:200],
        auth_method=str(methods[-1].get("method", "")),
        session=keyed_tag("session", request.session.session_key or ""),
        is_proxied=bool(getattr(request, "is_proxied", False)),
        is_request=True,
    )


def keyed_tag(purpose: str, text: str) -> str:
    """Return 16 hex digits that tell one secret from another and are useless in its place; nothing for nothing."""
    return salted_hmac(f"portal.audit.{purpose}", text, algorithm="sha256").hexdigest()[:16] if text else ""
