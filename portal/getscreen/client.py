"""The Getscreen.me Quick Support API as one typed client.

Each method is one call of the vendor's API, its ambiguities decided once. Everything it raises is a
GetscreenError. Source: the vendor's page "Quick Support", and "History" for `history`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import requests

from portal.getscreen import parsing
from portal.getscreen.errors import (
    BadRequest,
    GetscreenError,
    KeyRejected,
    Malformed,
    NotFound,
    QuotaExhausted,
    Refused,
    Unavailable,
)
from portal.getscreen.links import AllowedHosts, is_loopback
from portal.getscreen.transport import Answer, Request, Timing, Transport, logger, redacted
from portal.getscreen.types import ConnectLink, History, Listing, Picture, RemoteInvitation, Secret

__all__ = ["TIMINGS", "Client", "Timing", "validate_base_url", "validate_connect_path"]

VENDOR_URL = "https://api.getscreen.me/v1"
UPDATE, UPDATE_AS_PRINTED = "support/update", "agents/update"
CONNECT = "support/connect"
KIB = 1024

TIMINGS: Mapping[str, Timing] = {
    "list": Timing(connect=2, read=4, deadline=6, attempts=3),
    "info": Timing(connect=2, read=4, deadline=6, attempts=3),
    "info_before_connect": Timing(connect=2, read=3, deadline=4, attempts=2),
    "create": Timing(connect=3, read=10, deadline=12, attempts=1),
    "connect": Timing(connect=3, read=10, deadline=12, attempts=1),
    "update": Timing(connect=3, read=6, deadline=10, attempts=1),
    "close": Timing(connect=3, read=6, deadline=10, attempts=1),
    "history": Timing(connect=2, read=4, deadline=6, attempts=2),
    "preview": Timing(connect=2, read=3, deadline=4, attempts=1),
}
PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
T = TypeVar("T")


def validate_base_url(url: str) -> str:
    """Return `url` without a trailing slash. Raises ValueError unless https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not an address.") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be a plain address such as https://api.getscreen.me/v1.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("must be https: the API key travels with every request.")
    return url.rstrip("/")


def validate_connect_path(path: str) -> str:
    """Return the path. Raises ValueError under `agents/`: those calls open devices, not invitations."""
    if any(char in path for char in "?#%\\\r\n") or "//" in path or ".." in path or "://" in path:
        raise ValueError("must be a plain path such as support/connect.")
    plain = path.strip().strip("/").lower()
    if "agents" in plain.split("/"):
        raise ValueError("a path under agents/ opens permanent devices and is never called.")
    return path.strip().strip("/")


@dataclass(frozen=True, slots=True)
class Call:
    """One method: its name for errors and logs, its limits, and whether it changes anything."""

    name: str
    verb: str
    timing: str
    cap: int
    acts: bool = False


LIST = Call("support/list", "GET", "list", 8 * KIB * KIB)
INFO = Call("support/info", "GET", "info", 64 * KIB)
INFO_BEFORE_CONNECT = Call("support/info", "GET", "info_before_connect", 64 * KIB)
CREATE = Call("support/create", "POST", "create", 64 * KIB, acts=True)
RENAME = Call(UPDATE, "POST", "update", 64 * KIB, acts=True)
OPEN = Call(CONNECT, "POST", "connect", 64 * KIB, acts=True)
CLOSE = Call("support/close", "POST", "close", 64 * KIB, acts=True)
HISTORY = Call("history/list", "GET", "history", 1 * KIB * KIB)
PREVIEW = Call("preview", "GET", "preview", 512 * KIB)


class Client:
    """Calls the API with one key. Safe to use from several threads."""

    def __init__(
        self,
        *,
        api_key: Secret,
        link_hosts: AllowedHosts,
        base_url: str = VENDOR_URL,
        update_path: str = "",
        connect_path: str = "",
        proxy_url: str = "",
        ca_file: str = "",
        session: requests.Session | None = None,
        timings: Mapping[str, Timing] = TIMINGS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._key = api_key
        self._base = validate_base_url(base_url)
        self._allowed = link_hosts
        self._connect_path = validate_connect_path(connect_path) or CONNECT
        self._update_paths = [update_path.strip("/")] if update_path else [UPDATE, UPDATE_AS_PRINTED]
        self._timings = timings
        self._transport = Transport(
            session=session, proxy_url=proxy_url, ca_file=ca_file, clock=clock, sleep=sleep
        )
        digest = hashlib.blake2b(api_key.reveal().encode(), digest_size=4, person=b"portal-key")
        self.fingerprint = digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Client {self.fingerprint}>"

    def list(self) -> Listing:
        """Return every open invitation and what is left of the plan."""
        answer = self._ask(LIST)
        return self._understand(
            LIST,
            answer,
            lambda body: parsing.listing(
                body, allowed=self._allowed, now=time.time(), served_at=answer.served_at
            ),
        )

    def info(self, connection_id: int, *, before_connect: bool = False) -> RemoteInvitation:
        """Return one invitation. Raises BadRequest where the vendor does not know it."""
        call = INFO_BEFORE_CONNECT if before_connect else INFO
        answer = self._ask(call, params={"connection_id": connection_id})
        found = self._understand(call, answer, self._one)
        if found.id != connection_id:
            raise Malformed(call.name, "another invitation than the one asked for", status=answer.status)
        return found

    def create(self, client_name: str = "") -> RemoteInvitation:
        """Create an invitation. `may_have_acted` of an error says that it may exist all the same."""
        params = {"client_name": client_name} if client_name else {}
        return self._understand(CREATE, self._ask(CREATE, params=params), self._one)

    def rename(self, connection_id: int, name: str) -> None:
        """Give the invitation another name.

        The vendor's page names the method `support/update` and prints `agents/update`: the second is
        called only where the first is an unknown URL, and counts only when `info` shows the new name.
        """
        body = {"connection_id": connection_id, "name": name}
        path = self._update_paths[0]
        try:
            self._update(path, body)
        except NotFound:
            if len(self._update_paths) == 1:
                raise
            path = UPDATE_AS_PRINTED
            self._update(path, body)
            self._update_paths = [path]
        if path != UPDATE and self.info(connection_id).client_name != name:
            raise Malformed(RENAME.name, "the new name did not arrive", status=HTTPStatus.OK)

    def _update(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        answer = self._ask(RENAME, path=path, body=data, headers={"Content-Type": "application/json"})
        result = self._understand(RENAME, answer, parsing.update_status)
        if result != 0:
            raise Malformed(RENAME.name, "the vendor reports an internal error", status=answer.status)

    def connect(self, connection_id: int, *, record: bool | None = None) -> ConnectLink:
        """Return a fresh link that dies at its first use. `record` None: recording as set at the vendor."""
        params: dict[str, Any] = {"connection_id": connection_id}
        if record is not None:
            params["video"] = "true" if record else "false"
        answer = self._ask(OPEN, path=self._connect_path, params=params)
        return self._understand(OPEN, answer, lambda body: parsing.connect_link(body, allowed=self._allowed))

    def close(self, connection_id: int) -> None:
        """Close the invitation. One that a good list no longer has is closed: a success."""
        try:
            self._ask(CLOSE, params={"connection_id": connection_id})
        except (BadRequest, NotFound) as refusal:
            if any(found.id == connection_id for found in self.list().invitations):
                raise refusal from None

    def history(
        self,
        *,
        invitation_id: int | None = None,
        date_from: int | None = None,
        date_to: int | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> History:
        """Return one page of recorded sessions; dates are unix seconds, `limit` at most 100."""
        wanted = {
            "support_id": invitation_id,
            "date_from": date_from,
            "date_to": date_to,
            "offset": offset,
            "limit": min(limit, 100),
        }
        params = {name: value for name, value in wanted.items() if value is not None}
        answer = self._ask(HISTORY, params=params)
        return self._understand(HISTORY, answer, lambda body: parsing.history(body, now=time.time()))

    def preview(self, url: Secret) -> Picture:
        """Fetch a picture of the client's desktop. The key stays at home; only PNG, JPEG and WebP count."""
        checked = parsing.link(url.reveal(), self._allowed)
        if not checked:
            raise BadRequest(PREVIEW.name, "no picture, or not on an allowed host")
        answer = self._exchange(PREVIEW, checked, {"Accept": "image/*"})
        if answer.status != HTTPStatus.OK:
            raise Unavailable(PREVIEW.name, "no picture", status=answer.status)
        return Picture(picture_type(answer.body), answer.body)

    def _one(self, body: Any) -> RemoteInvitation:
        return parsing.invitation(parsing.data_of(body), allowed=self._allowed, now=time.time())

    def _ask(
        self, call: Call, *, path: str = "", headers: dict[str, str] | None = None, **parts: Any
    ) -> Answer:
        """Send a call with the key and return its answer if that says yes."""
        if not self._key:
            raise KeyRejected(call.name, "no API key is configured")
        url = f"{self._base}/{path or call.name}"
        answer = self._exchange(call, url, {"X-Api-Key": self._key.reveal()} | (headers or {}), **parts)
        if answer.status == HTTPStatus.FORBIDDEN and call is not LIST:
            self._blame_key_or_id(call, answer)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise error_for(call, answer)
        return answer

    def _exchange(self, call: Call, url: str, headers: dict[str, str], **parts: Any) -> Answer:
        timing = self._timings[call.timing]
        request = Request(call.name, call.verb, url, timing, call.cap, call.acts, headers, **parts)
        answer = self._transport.send(request)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            logger.warning(
                "%s %s answered %s: %s", call.verb, call.name, answer.status, redacted(answer.body)
            )
        return answer

    def _blame_key_or_id(self, call: Call, answer: Answer) -> NoReturn:
        """A 403 is the key's fault if `list` is refused as well, else that id's."""
        try:
            self.list()
        except KeyRejected:
            raise KeyRejected(call.name, "the key is refused", status=answer.status) from None
        except GetscreenError:
            pass
        raise BadRequest(call.name, "no access to this invitation", status=answer.status)

    def _understand(self, call: Call, answer: Answer, read: Callable[[Any], T]) -> T:
        try:
            return read(parsing.read_json(answer.body))
        except parsing.Unreadable as reason:
            error = Malformed(call.name, str(reason), may_have_acted=call.acts, status=answer.status)
        logger.warning("%s %s: %s", call.verb, call.name, error.reason)
        raise error


def error_for(call: Call, answer: Answer) -> GetscreenError:
    """Return what a status that is not a success means for the caller's intent."""
    status = answer.status
    if status < HTTPStatus.BAD_REQUEST:
        return Malformed(call.name, "a redirect", may_have_acted=call.acts, status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(call.name, "too many requests", status=status, retry_after=answer.retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(
            call.name,
            "a failing server",
            may_have_acted=call.acts,
            status=status,
            retry_after=answer.retry_after,
        )
    kinds: dict[int, type[Refused]] = {
        HTTPStatus.UNAUTHORIZED: KeyRejected,
        HTTPStatus.PAYMENT_REQUIRED: QuotaExhausted,
        HTTPStatus.FORBIDDEN: KeyRejected,
        HTTPStatus.NOT_FOUND: NotFound,
    }
    return kinds.get(status, BadRequest)(call.name, "refused", status=status)


def picture_type(body: bytes) -> str:
    """Return the media type by the first bytes. Raises Malformed for anything but a picture."""
    for start, media_type in PICTURES:
        if body.startswith(start):
            return media_type
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    raise Malformed(PREVIEW.name, "not a picture")
