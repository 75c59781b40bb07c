"""The Getscreen.me Quick Support API as one typed client.

Each method is one call of the vendor's API, its ambiguities decided once. Everything it raises is a
GetscreenError. Source: the vendor's page "Quick Support", and "History" for `history`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from portal.getscreen import outcomes, parsing
from portal.getscreen.breaker import Breaker
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
from portal.getscreen.types import ConnectLink, History, Listing, Picture, RemoteInvitation, Secret, Status

__all__ = [
    "TIMINGS",
    "Client",
    "Timing",
    "validate_base_url",
    "validate_connect_path",
    "validate_proxy_url",
    "validate_update_path",
]

VENDOR_URL = "https://api.getscreen.me/v1"
UPDATE, UPDATE_AS_PRINTED = "support/update", "agents/update"
CONNECT = "support/connect"
INTERNAL_ERROR = 4  # in the answer of an update
PLAIN_URL = re.compile(r"[A-Za-z]+://[A-Za-z0-9._\-:\[\]@]+(/[A-Za-z0-9._~\-]*)*\Z")
PLAIN_PATH = re.compile(r"[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*\Z")
KIB = 1024
PATIENCE = 1.0  # seconds to wait for a place at the vendor
NOT_ASKED = "not asked, because it has not been answering"
NAME_LENGTH = 100  # the vendor's limit is unknown

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
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0\0\0\0IEND\xaeB`\x82"
MARKUP = re.compile(rb"<(svg|html|script|body|!doctype|\?xml)", re.IGNORECASE)
T = TypeVar("T")


def validate_base_url(url: str) -> str:
    """Return `url` without a trailing slash. Raises ValueError unless https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not an address.") from None
    is_plain = PLAIN_URL.match(url) and ".." not in url and "//" not in parts.path.rstrip("/")
    if not is_plain or not host or port == 0 or parts.username is not None:
        raise ValueError("must be a plain address such as https://api.getscreen.me/v1.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("must be https: the API key travels with every request.")
    refuse_devices(parts.path)
    return url.rstrip("/")


def validate_connect_path(path: str) -> str:
    """Return the path. Raises ValueError under `agents/`: those calls open devices, not invitations."""
    plain = path.strip(" /")
    if plain and not PLAIN_PATH.match(plain):
        raise ValueError("must be a plain path such as support/connect.")
    refuse_devices(plain)
    return plain


def validate_update_path(path: str) -> str:
    """Return the path. Raises ValueError under `agents/`, save for `agents/update` as the vendor prints it."""
    return UPDATE_AS_PRINTED if path.strip(" /") == UPDATE_AS_PRINTED else validate_connect_path(path)


def validate_proxy_url(url: str) -> str:
    """Return `url`. Raises ValueError for a proxy that is not spoken to in HTTP."""
    if "://" in url and urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("must be an http or https proxy.")
    return url


def refuse_devices(path: str) -> None:
    if "agents" in path.lower().split("/"):
        raise ValueError("a path under agents/ opens permanent devices and is never called.")


@dataclass(frozen=True, slots=True)
class Call:
    """One method: its name for errors and logs, its limits, and whether it changes anything."""

    name: str
    verb: str
    timing: str
    cap: int  # bytes of the answer that are read, 0 where only the status counts
    acts: bool = False


LIST = Call("support/list", "GET", "list", 8 * KIB * KIB)
INFO = Call("support/info", "GET", "info", 64 * KIB)
INFO_BEFORE_CONNECT = Call("support/info", "GET", "info_before_connect", 64 * KIB)
CREATE = Call("support/create", "POST", "create", 64 * KIB, acts=True)
RENAME = Call(UPDATE, "POST", "update", 64 * KIB, acts=True)
OPEN = Call(CONNECT, "POST", "connect", 64 * KIB, acts=True)
CLOSE = Call("support/close", "POST", "close", 0, acts=True)  # only the status counts
HISTORY = Call("history/list", "GET", "history", 1 * KIB * KIB)
PREVIEW = Call("preview", "GET", "preview", 512 * KIB)
METHODS = tuple(call.name for call in (LIST, INFO, CREATE, RENAME, OPEN, CLOSE, HISTORY, PREVIEW))


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
        at_once: int | None = None,
        breaker: Breaker | None = None,
        observe: outcomes.Observer | None = None,
    ) -> None:
        self._key = api_key
        self._breaker = breaker
        self._observe = observe
        self._wrong: dict[str, int | str] = {}  # by method, the last answer that was no success
        self._slots = threading.BoundedSemaphore(at_once) if at_once else None
        self._base = validate_base_url(base_url)
        self._allowed = link_hosts
        self._connect_path = validate_connect_path(connect_path) or CONNECT
        self._update_path = validate_update_path(update_path)  # else as this server turns out to know it
        self._is_update_path_fixed = bool(self._update_path)
        self._timings = timings
        self._transport = Transport(
            session=session, proxy_url=validate_proxy_url(proxy_url), ca_file=ca_file, clock=clock, sleep=sleep
        )
        digest = hashlib.blake2b(
            api_key.reveal().encode(errors="backslashreplace"), digest_size=4, person=b"portal-key"
        )
        self.fingerprint = digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Client {self.fingerprint}>"

    def list(self) -> Listing:
        """Return every open invitation and what is left of the plan."""
        answer = self._ask(LIST)
        return self._understand(
            LIST,
            answer,
            lambda body: parsing.listing(body, allowed=self._allowed, now=time.time(), served_at=answer.served_at),
        )

    def info(self, connection_id: int, *, before_connect: bool = False, is_key_good: bool = False) -> RemoteInvitation:
        """Return one invitation. Raises BadRequest where the vendor does not know it.

        With `is_key_good`, which a list has just shown, a 403 is about this id without asking again.
        """
        call = INFO_BEFORE_CONNECT if before_connect else INFO
        answer = self._ask(call, is_key_good=is_key_good, params={"connection_id": connection_id})
        found = self._understand(call, answer, self._one)
        if found.id != connection_id:
            raise Malformed(call.name, "another invitation than the one asked for", status=answer.status)
        return found

    def create(self, client_name: str = "") -> RemoteInvitation:
        """Create an invitation. `may_have_acted` of an error says that it may exist all the same."""
        name = parsing.clean(client_name, NAME_LENGTH)
        params = {"client_name": name} if name else {}
        return self._understand(CREATE, self._ask(CREATE, params=params, private=name), self._one)

    def rename(self, connection_id: int, name: str) -> None:
        """Give the invitation another name.

        The vendor's page names the method `support/update` and prints `agents/update`: the second is
        called only where the first is an unknown URL, and counts only when `info` shows the new name.
        """
        name = parsing.clean(name, NAME_LENGTH)
        body = {"connection_id": connection_id, "name": name}
        paths = [self._update_path] if self._update_path else [UPDATE, UPDATE_AS_PRINTED]
        for path in paths:
            try:
                self._update(path, body)
                break
            except NotFound:
                if not self._is_update_path_fixed:
                    self._update_path = ""
                if path == paths[-1]:
                    raise
        if path != UPDATE:
            self._confirm_name(connection_id, name)
        self._update_path = path

    def _update(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._ask(RENAME, path=path, body=data, headers=headers, private=body["name"])
        result = self._understand(RENAME, answer, parsing.update_status)
        if result == INTERNAL_ERROR:
            raise Malformed(RENAME.name, "the vendor reports an internal error", status=answer.status)
        if result != 0:
            raise Malformed(RENAME.name, "an unknown result", may_have_acted=True, status=answer.status)

    def _confirm_name(self, connection_id: int, name: str) -> None:
        """Raise unless `info` shows the new name. Whatever goes wrong here, the call itself has gone out."""
        try:
            shown = self.info(connection_id).client_name
        except GetscreenError as failure:
            status = failure.status
        else:
            if shown.strip() == name.strip():
                return
            status = HTTPStatus.OK
        raise Malformed(RENAME.name, "the new name did not show up", may_have_acted=True, status=status)

    def connect(self, connection_id: int, *, record: bool | None = None) -> ConnectLink:
        """Return a fresh link that dies at its first use. `record` None: recording as set at the vendor."""
        params: dict[str, Any] = {"connection_id": connection_id}
        if record is not None:
            params["video"] = "true" if record else "false"
        answer = self._ask(OPEN, path=self._connect_path, params=params)
        return self._understand(OPEN, answer, lambda body: parsing.connect_link(body, allowed=self._allowed))

    def close(self, connection_id: int) -> None:
        """Close the invitation. One that a good and whole list no longer has is closed: a success."""
        try:
            self._ask(CLOSE, params={"connection_id": connection_id})
            return
        except (BadRequest, NotFound) as error:
            refusal = error
        try:
            listing = self.list()
        except GetscreenError:
            raise refusal.with_traceback(None) from None
        is_open = any(found.id == connection_id and found.status != Status.CLOSED for found in listing.invitations)
        if is_open or listing.dropped:
            raise refusal.with_traceback(None)

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
        public_only = not self._allowed.may_be_private(checked)
        answer = self._exchange(PREVIEW, checked, headers={"Accept": "image/*"}, public_only=public_only)
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise BadRequest(PREVIEW.name, "the picture is gone", status=answer.status)
        if answer.status != HTTPStatus.OK:
            raise Unavailable(PREVIEW.name, "no picture", status=answer.status)
        claimed = answer.headers.get("Content-Type", "").strip().lower()
        media_type = picture_type(answer.body)
        if not media_type or not claimed.startswith("image/") or claimed.startswith("image/svg"):
            raise Malformed(PREVIEW.name, "not a picture", status=answer.status)
        return Picture(media_type, answer.body)

    def _one(self, body: Any) -> RemoteInvitation:
        return parsing.invitation(parsing.data_of(body), allowed=self._allowed, now=time.time())

    def _ask(self, call: Call, *, path: str = "", is_key_good: bool = False, **parts: Any) -> Answer:
        """Send a call with the key and return its answer if that says yes."""
        if not self._key:
            raise KeyRejected(call.name, "no API key is configured")
        answer = self._exchange(call, f"{self._base}/{path or call.name}", key=self._key, **parts)
        if answer.status == HTTPStatus.FORBIDDEN and call is not LIST:
            id_error = BadRequest(call.name, "no access", status=answer.status)
            raise id_error if is_key_good else self._key_or_id(call, answer)
        # What changes something and says yes in another way has changed it; a part of a list is no list.
        if answer.status != HTTPStatus.OK and not (call.acts and 200 <= answer.status < 300):
            raise error_for(call, answer)
        return answer

    def _exchange(self, call: Call, url: str, *, private: str = "", **parts: Any) -> Answer:
        """Send a call. `private` is a client's name, which an error's text may repeat but the log may not."""
        timing = self._timings[call.timing]
        request = Request(call.name, call.verb, url, timing, call.cap, call.acts, **parts)
        self._see_whether_it_is_over(call)
        with self._slot(call):
            self._wait_for_better_times(call)
            began = time.monotonic()
            try:
                answer = self._transport.send(request)
            except GetscreenError as error:
                self._ended(call, outcomes.of_error(error), time.monotonic() - began, well=False)
                raise
        answer = replace(answer, seconds=time.monotonic() - began)
        is_yes = answer.status == HTTPStatus.OK or (call.acts and 200 <= answer.status < 300)
        if call is PREVIEW or not (is_yes and call.cap):  # else its body has to be understood first
            outcome = outcomes.of_answer(answer.status, is_yes=is_yes, is_list=call is LIST)
            self._ended(call, outcome, answer.seconds, well=is_yes or 400 <= answer.status < 500)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self._tell(call, answer, answer.status, redacted(answer.body, self._key.reveal(), private))
        return answer

    def _tell(self, call: Call, answer: Answer, wrong: int | str, text: str) -> None:
        """Log an answer that is no success. What only reads is asked again and again, so the same is told once."""
        is_news = call.acts or self._wrong.get(call.name) != wrong
        level = logging.WARNING if is_news else logging.DEBUG
        logger.log(level, "%s %s answered %s: %s", call.verb, call.name, answer.status, text)
        self._wrong[call.name] = wrong

    def _see_whether_it_is_over(self, call: Call) -> None:
        """After an outage, ask for lists before anything else. Raises Unavailable at once if it goes on.

        Where another process's watcher holds the lease, nobody here asks for a list otherwise.
        """
        if self._breaker is None or call in (LIST, PREVIEW):
            return
        for _ in range(Breaker.ENOUGH):
            if self._breaker.wants_probe:
                with suppress(Refused):  # an answer, if not the wanted one
                    self._probe(call)
        self._wait_for_better_times(call)

    def _probe(self, call: Call) -> None:
        try:
            self.list()
        except (Unavailable, Malformed) as failure:
            seconds = failure.retry_after or ceil(self._breaker.wait(is_probe=False)) if self._breaker else None
            raise self._not_asked(call, NOT_ASKED, seconds) from None

    def _wait_for_better_times(self, call: Call) -> None:
        """Raise Unavailable while the service has not been answering anybody. Pictures come from elsewhere."""
        if self._breaker is None or call is PREVIEW:
            return
        seconds = self._breaker.wait(is_probe=call is LIST)
        if seconds:
            raise self._not_asked(call, NOT_ASKED, ceil(seconds))

    def _not_asked(self, call: Call, reason: str, seconds: float | None = None) -> Unavailable:
        self._tell_observer(call, outcomes.NOT_ASKED, 0.0)
        return Unavailable(call.name, reason, retry_after=seconds)

    def _ended(self, call: Call, outcome: str, seconds: float, *, well: bool) -> None:
        """Take in how a call ended that was sent, once for each."""
        if self._breaker is not None and call is not PREVIEW:
            self._breaker.ended(well=well)
        self._tell_observer(call, outcome, seconds)

    def _tell_observer(self, call: Call, outcome: str, seconds: float) -> None:
        if self._observe is not None:
            self._observe(call.name, outcome, seconds)

    @contextmanager
    def _slot(self, call: Call) -> Iterator[None]:
        """Keep one of the few places at the vendor. Raises Unavailable if none becomes free soon."""
        if self._slots is None:
            yield
            return
        if not self._slots.acquire(timeout=PATIENCE):
            raise self._not_asked(call, "too many calls are under way")
        try:
            yield
        finally:
            self._slots.release()

    def _key_or_id(self, call: Call, answer: Answer) -> GetscreenError:
        """A 403 is the key's fault if `list` is refused as well, else that id's."""
        try:
            self.list()
        except KeyRejected:
            return KeyRejected(call.name, "the key is refused", status=answer.status)
        except GetscreenError:
            return Unavailable(call.name, "no access, and no list to tell why", status=answer.status)
        return BadRequest(call.name, "no access", status=answer.status)

    def _understand(self, call: Call, answer: Answer, read: Callable[[Any], T]) -> T:
        try:
            understood = read(parsing.read_json(answer.body))
        except parsing.Unreadable as reason:
            words = str(reason)
        else:
            self._ended(call, outcomes.OK, answer.seconds, well=True)
            self._wrong.pop(call.name, None)
            return understood
        self._ended(call, outcomes.GARBLED, answer.seconds, well=False)
        self._tell(call, answer, words, words)
        raise Malformed(call.name, words, may_have_acted=call.acts, status=answer.status)


def error_for(call: Call, answer: Answer) -> GetscreenError:
    """Return what a status that is not a success means for the caller's intent."""
    status = answer.status
    if status < HTTPStatus.BAD_REQUEST:
        return Malformed(call.name, "a redirect, or not a whole answer", may_have_acted=call.acts, status=status)
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
    """Return the media type by the first bytes, "" for anything but one whole picture with nothing around it."""
    if MARKUP.search(body[:KIB]):
        return ""
    if body.startswith(PNG_START):
        return "image/png" if body.endswith(PNG_END) else ""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg" if body.endswith(b"\xff\xd9") else ""
    is_webp = body[:4] == b"RIFF" and body[8:15] == b"WEBPVP8"
    return "image/webp" if is_webp and int.from_bytes(body[4:8], "little") + 8 == len(body) else ""
