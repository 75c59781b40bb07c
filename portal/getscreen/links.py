"""Which links of the vendor are followed: one normal form, one allow-list, everything else refused.

Decides by text alone. Knows nothing of requests, pages or settings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_LENGTH = 2048
RFC_3986 = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*\Z")
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
DOUBLED = re.compile(r"\A(https?://)\1")


class LinkRefused(ValueError):
    """A link that nobody should follow. The message never contains it."""


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# Public by their numbers, and yet inside: services that clouds offer to their own machines.
INSIDE = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b:1::/48", "::/96", "fec0::/10")))
# Where clouds tell machines their secrets, beside the link-local addresses.
METADATA = tuple(
    map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32", "fd00:ec2::254/128"))
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
IPv4 = 0xFFFFFFFF  # the last bits of an address that carries one


def is_public(address: str) -> bool:
    """Say whether it is a machine of the public Internet, and none of a network at home or in a cloud."""
    found = carried(ipaddress.ip_address(address.partition("%")[0]))
    is_inside = any(found in network for network in INSIDE)
    return found.is_global and not (is_inside or found.is_multicast or found.is_reserved)


def carried(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, if it does: by mapping, NAT64 or 6to4."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & IPv4)
    return address.ipv4_mapped or address.sixtofour or address


def is_host_name(host: str) -> bool:
    """Say whether `host` is plain lower-case labels. Internationalised names read differently in browsers."""
    labels = host.split(".")
    return len(host) <= 253 and all(LABEL.match(label) and not label.startswith("xn--") for label in labels)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts links may lead to: names with everything below them, and exact `host:port` pairs."""

    names: tuple[str, ...]
    exact: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> AllowedHosts:
        """Read the entries of the setting. Raises ValueError for one that is not a host."""
        names: list[str] = []
        exact: list[tuple[str, int]] = []
        for entry in entries:
            host, colon, port = entry.strip().lower().partition(":")
            if not is_host_name(host) or (colon and not is_port(port)):
                raise ValueError(f"{entry!r} is not a host name or host:port.")
            if colon:
                exact.append((host, int(port)))
            elif "." in host or is_loopback(host):
                names.append(host)
            else:
                raise ValueError(f"{entry!r} would allow a whole top-level domain.")
        if not names and not exact:
            raise ValueError("at least one host is needed.")
        return cls(tuple(names), tuple(exact))

    def csp_origins(self) -> list[str]:
        """Return the same hosts as sources for Content-Security-Policy."""
        origins: list[str] = []
        for name in self.names:
            below = not is_loopback(name) and not is_address(name)
            origins += [f"https://{name}", f"https://*.{name}"] if below else [f"https://{name}"]
            origins += [f"http://{name}"] if is_loopback(name) else []
        for host, port in self.exact:
            schemes = ("http", "https") if is_loopback(host) else ("https",)
            origins += [f"{scheme}://{host}:{port}" for scheme in schemes]
        return origins

    def allows(self, scheme: str, host: str, port: int | None) -> bool:
        if port is None:
            is_safe = scheme == "https" or is_loopback(host)
            return is_safe and any(host == name or is_below(host, name) for name in self.names)
        return (host, port) in self.exact and (scheme == "https" or is_loopback(host))

    def may_be_private(self, link: str) -> bool:
        """Say whether somebody has named this very machine: only those may be inside a private network."""
        parts = urlsplit(link)
        return is_loopback(parts.hostname or "") or (parts.hostname, parts.port) in self.exact


@dataclass(frozen=True, slots=True)
class PrivateHosts:
    """The machines that may be called though they are not public: names, and networks of addresses."""

    names: frozenset[str]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> PrivateHosts:
        """Read the entries of the setting. Raises ValueError for one that is neither."""
        names: set[str] = set()
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in map(str.lower, entries):
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                if not is_host_name(entry):
                    raise ValueError(f"{entry!r} is neither a host name nor a network.") from None
                names.add(entry)
        return cls(frozenset(names), tuple(networks))

    def lists(self, host: str) -> bool:
        """Say whether somebody has named this very host, or the network of an address."""
        return host in self.names or (is_address(host) and self.has(host))

    def has(self, address: str) -> bool:
        found = carried(ipaddress.ip_address(address.partition("%")[0]))
        return any(found in network for network in self.networks)

    def may_reach(self, host: str, address: str) -> bool:
        """Say whether `host` may be called at `address`. A name alone never opens the metadata of a cloud."""
        if is_public(address) or self.has(address):
            return True
        found = carried(ipaddress.ip_address(address.partition("%")[0]))
        is_special = found.is_link_local or found.is_multicast or found.is_unspecified
        is_metadata = any(found in network for network in METADATA)
        return host in self.names and not (is_special or is_metadata)


def is_below(host: str, name: str) -> bool:
    return host.endswith(f".{name}") and not is_address(name)


def is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536


def normalise(link: object, allowed: AllowedHosts) -> str:
    """Return `link` in its one normal form. Raises LinkRefused unless it leads to an allowed host.

    The vendor's samples carry `https://https://` and `&amp;`: one of each is mended, no more.
    """
    if not isinstance(link, str) or not 0 < len(link) <= MAX_LENGTH:
        raise LinkRefused("not a link of reasonable length")
    link = DOUBLED.sub(r"\1", link.replace("&amp;", "&"), count=1)
    if not RFC_3986.match(link):
        raise LinkRefused("characters that no link has")
    scheme, separator, rest = link.partition("://")
    if not separator or scheme not in ("https", "http"):
        raise LinkRefused("not an https link")
    check_authority(scheme, re.split(r"[/?#]", rest, maxsplit=1)[0], link, allowed)
    return link


def check_authority(scheme: str, authority: str, link: str, allowed: AllowedHosts) -> None:
    host, colon, port = authority.partition(":")
    if not is_host_name(host) or (colon and not is_port(port)):
        raise LinkRefused("not a plain host name")
    parsed = urlsplit(link)
    same = (parsed.hostname, parsed.port, parsed.username) == (host, int(port) if colon else None, None)
    if not same or not allowed.allows(scheme, host, int(port) if colon else None):
        raise LinkRefused("a host that is not on the list")
