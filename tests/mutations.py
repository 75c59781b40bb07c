"""An address written in other ways, each of which has let somebody into some product past its sign-in.

Shared by the tests at WSGI level and those on a socket: paths are as they stand on the request line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

PUBLIC_PAGE = "/accounts/login/"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True)
class Attempt:
    """One way of asking: a path as on the request line, a query, headers."""

    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def path(change: Callable[[str], str]) -> Callable[[str], Attempt]:
    return lambda address: Attempt(change(address))


def query(text: str) -> Callable[[str], Attempt]:
    return lambda address: Attempt(address, text)


def header(name: str, value: str) -> Callable[[str], Attempt]:
    return lambda address: Attempt(address, headers={name: value})


def instead(name: str) -> Callable[[str], Attempt]:
    """Ask for a public page, and name the wanted one in a header that proxies use."""
    return lambda address: Attempt(PUBLIC_PAGE, headers={name: address})


MUTATIONS: dict[str, Callable[[str], Attempt]] = {
    "as it is": Attempt,
    "a slash before": path(lambda address: f"/{address}"),
    "a slash after": path(lambda address: f"{address}/"),
    "every slash twice": path(lambda address: address.replace("/", "//")),
    "a dot segment before": path(lambda address: f"/.{address}"),
    "a dot segment after": path(lambda address: f"{address}./"),
    "up from a public page": path(lambda address: f"{PUBLIC_PAGE}../..{address}"),
    "up, encoded": path(lambda address: f"{PUBLIC_PAGE}%2e%2e/%2e%2e{address}"),
    "up, encoded with its slash": path(lambda address: f"{PUBLIC_PAGE}..%2f..{address}"),
    "up, encoded twice": path(lambda address: f"{PUBLIC_PAGE}%252e%252e/%252e%252e{address}"),
    "up from static files": path(lambda address: f"/static/..{address}"),
    "up from static files, encoded": path(lambda address: f"/static/%2e%2e{address}"),
    "up from a probe": path(lambda address: f"/healthz/..{address}"),
    "up from a probe, with a parameter": path(lambda address: f"/healthz;/..{address}"),
    "below a probe": path(lambda address: f"/healthz{address}"),
    "a parameter after": path(lambda address: f"{address};x"),
    "a parameter before the slash": path(lambda address: f"{address.rstrip('/')};x=1/"),
    "a segment after": path(lambda address: f"{address}x"),
    "a public page after": path(lambda address: f"{address.rstrip('/')}{PUBLIC_PAGE}"),
    "a probe after": path(lambda address: f"{address}healthz"),
    "a style sheet after": path(lambda address: f"{address}base.css"),
    "capitals": path(str.upper),
    "a capital": path(str.title),
    "a null byte after": path(lambda address: f"{address}%00"),
    "a null byte before the slash": path(lambda address: f"{address.rstrip('/')}%00/"),
    "a null byte before": path(lambda address: f"/%00{address}"),
    "as JSON": path(lambda address: f"{address.rstrip('/')}.json"),
    "as a style sheet": path(lambda address: f"{address.rstrip('/')}.css"),
    "overlong": path(lambda address: f"{address}{'a' * 3900}"),
    "overlong by dots": path(lambda address: f"{'/.' * 1500}{address}"),
    "slashes encoded": path(lambda address: address[0] + address[1:].replace("/", "%2f")),
    "slashes encoded twice": path(lambda address: address[0] + address[1:].replace("/", "%252f")),
    "slashes in overlong UTF-8": path(lambda address: address[0] + address[1:].replace("/", "%c0%af")),
    "backslashes": path(lambda address: address[0] + address[1:].replace("/", "%5c")),
    "letters that look alike": path(lambda address: quote(address.replace("a", "а").replace("i", "і"))),
    "full-width letters": path(lambda address: quote("".join(full_width(char) for char in address))),
    "every letter encoded": path(lambda address: "".join(c if c == "/" else f"%{ord(c):02x}" for c in address)),
    "a dot after": path(lambda address: f"{address.rstrip('/')}./"),
    "a space after": path(lambda address: f"{address.rstrip('/')}%20/"),
    "a line break after": path(lambda address: f"{address.rstrip('/')}%0a"),
    "a header in the path": path(lambda address: f"{address}%0d%0aX-Remote-User:%20admin"),
    "a fragment after": path(lambda address: f"{address}%23{PUBLIC_PAGE}"),
    "without its last slash": path(lambda address: address.rstrip("/") or "/"),
    "a public page in the query": query(PUBLIC_PAGE),
    "a destination": query("next=/accounts/login/"),
    "a method in the query": query("_method=GET&_HttpMethod=GET"),
    "a null byte in the query": query("%00"),
    "X-Original-URL, public": header("X-Original-URL", PUBLIC_PAGE),
    "X-Rewrite-URL, public": header("X-Rewrite-URL", PUBLIC_PAGE),
    "X-Original-URL": instead("X-Original-URL"),
    "X-Rewrite-URL": instead("X-Rewrite-URL"),
    "X-Forwarded-Uri": instead("X-Forwarded-Uri"),
    "X-Forwarded-Prefix": instead("X-Forwarded-Prefix"),
    "Script-Name": header("Script-Name", PUBLIC_PAGE.rstrip("/")),
    "another method": header("X-HTTP-Method-Override", "GET"),
    "another method, short": header("X-Method-Override", "OPTIONS"),
    "from here": header("X-Forwarded-For", "127.0.0.1"),
    "a user of the proxy": header("Remote-User", "admin"),
    "a user of the proxy, X-": header("X-Remote-User", "admin"),
    "basic authentication": header("Authorization", "Basic YWRtaW46YWRtaW4="),
    "a token": header("Authorization", "Bearer null"),
    "a fragment of a page": header("HX-Request", "true"),
    "a session that is none": header("Cookie", "sessionid=1; __Host-sessionid=1"),
}


def full_width(char: str) -> str:
    return chr(ord(char) + 0xFEE0) if char.isalpha() else char
