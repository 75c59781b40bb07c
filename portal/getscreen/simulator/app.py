"""The vendor's servers as one WSGI application: API, landing pages and previews.

Responsible for routing, for the key, for planned faults and for what each method answers. Refuses to know
sockets, and how the account changes: that is `account`.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from portal.getscreen.simulator import faults, pages, pictures, records
from portal.getscreen.simulator.account import (
    Account,
    LimitReached,
    LinkUsed,
    Row,
    Session,
    UnknownInvitation,
)
from portal.getscreen.simulator.answers import Answer, ok, refusal

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

METHODS = {
    "support/list": ("GET", "list"),
    "support/info": ("GET", "info"),
    "support/create": ("POST", "create"),
    "support/update": ("POST", "update"),
    "agents/update": ("POST", "update"),
    "support/connect": ("POST", "connect"),
    "support/close": ("POST", "close"),
    "history/list": ("GET", "history"),
}
HISTORY_LIMIT = 100


class Rejected(Exception):
    """The call cannot be carried out; the answer has this status."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read from WSGI."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, environ: WSGIEnvironment) -> Call:
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        # WSGI carries the UTF-8 bytes of the path as Latin-1 characters.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        return cls(environ["REQUEST_METHOD"], path, query, headers, body)

    @property
    def api_path(self) -> str | None:
        """`support/list` of `/v1/support/list`, None outside of the API."""
        return self.path.removeprefix("/v1/") if self.path.startswith("/v1/") else None

    @property
    def operation(self) -> str:
        return operation_of(self.path)

    def number(self, name: str, default: int | None = None) -> int:
        value = self.query.get(name, "")
        if not value and default is not None:
            return default
        if not (value.isascii() and value.isdigit()):
            raise Rejected(400, f"{name} must be a number")
        return int(value)


def operation_of(path: str) -> str:
    """What a path is for: one of `faults.OPERATIONS`, else `device`, `landing` or `unknown`."""
    name = path.removeprefix("/v1/")
    if path.startswith("/v1/"):
        return METHODS[name][1] if name in METHODS else "device" if name.startswith("agents/") else "unknown"
    return "preview" if path.startswith("/preview/") else "landing"


class Simulator(Account):
    """The vendor, as a WSGI application. Thread-safe.

    api_key: the only key it accepts; set it anew to revoke it.
    public_url: where its links lead. Links to https carry the documentation's slips.
    remaining: what is left of the plan; None leaves `remain` out.
    update_paths: which of `support/update` and `agents/update` this server knows.
    unknown_id_status: the answer to a call for an invitation it does not know or that is closed.
    """

    def __init__(
        self,
        *,
        api_key: str,
        public_url: str = "https://go.getscreen.me",
        remaining: int | None = 100,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        first_id: int = 20_177,
        update_paths: Iterable[str] = ("support/update",),
        unknown_id_status: int = 400,
    ) -> None:
        super().__init__(public_url=public_url, remaining=remaining, clock=clock, seed=seed, first_id=first_id)
        self.api_key = api_key
        self.update_paths = frozenset(update_paths)
        self.unknown_id_status = unknown_id_status
        self._faults = faults.Queue()
        self._watchers: list[Callable[[], None]] = []
        self._moments: dict[tuple[str, str], deque[Callable[[], object]]] = {}
        self._moments_lock = threading.Lock()

    FAULTS = faults.FAULTS

    # What tests plan.

    def fail(self, operation: str, fault: str, *, times: int | None = 1, **options: Any) -> None:
        """The next `times` calls of `operation` ("*" for all) meet this fault; None: until `clear`.

        `refused` has no operation on a real port: the port is closed to all until `clear`.
        """
        self._faults.add(operation, fault, times, options)
        self._tell_watchers()

    def clear(self) -> None:
        self._faults.clear()
        self._tell_watchers()

    def before(self, operation: str, action: Callable[[], object]) -> None:
        """Runs `action` once, just before the next call of `operation` is carried out."""
        self._plan_moment("before", operation, action)

    def after(self, operation: str, action: Callable[[], object]) -> None:
        """Runs `action` once, when the next answer to `operation` is made but not yet sent."""
        self._plan_moment("after", operation, action)

    # What servers ask.

    def watch(self, changed: Callable[[], None]) -> None:
        """Calls `changed` whenever faults are planned or cleared."""
        self._watchers.append(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Calling no longer, or never having called, is the same."""
        if changed in self._watchers:
            self._watchers.remove(changed)

    def refuses_connections(self) -> bool:
        return self._faults.refuses()

    def missing_connection(self, path: str) -> str | None:
        """The name of the fault that keeps this request from getting a connection, used up once."""
        planned = self._faults.take(operation_of(path), connecting=True)
        return planned.fault.name if planned else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI. Raises OnTheConnection for a planned fault of the network."""
        call = Call.read(environ)
        self._note_call(call)
        answer = self._answer(call)
        start_response(answer.status_line, answer.header_list)
        return [answer.body]

    def _tell_watchers(self) -> None:
        for changed in tuple(self._watchers):
            changed()

    def _plan_moment(self, moment: str, operation: str, action: Callable[[], object]) -> None:
        with self._moments_lock:
            self._moments.setdefault((moment, operation), deque()).append(action)

    def _run_moment(self, moment: str, operation: str) -> None:
        with self._moments_lock:
            planned = self._moments.get((moment, operation))
            action = planned.popleft() if planned else None
        if action:
            action()

    def _note_call(self, call: Call) -> None:
        self.ledger.note_request(
            operation=call.operation,
            method=call.method,
            path=call.path,
            query=call.query,
            headers=call.headers,
            body=call.body,
            at=self.now(),
        )
        has_header = "x-api-key" in call.headers and call.api_path is None
        if has_header or self.api_key in call.query.values():
            self._note("key_leaked", None, call.operation)
        if call.operation == "device":
            self._note("device_opened", None, call.path)

    def _answer(self, call: Call) -> Answer:
        planned = self._faults.take(call.operation)
        self._run_moment("before", call.operation)
        answer = Answer(200) if planned and not planned.acts else self._carry_out(call)
        answer = answer.with_header("Date", formatdate(self.now(), usegmt=True))
        self._run_moment("after", call.operation)
        if planned is None:
            return answer
        if planned.fault.spoil is None:
            raise faults.OnTheConnection(planned, answer)
        return planned.fault.spoil(answer, planned.options)

    def _carry_out(self, call: Call) -> Answer:
        try:
            if call.api_path is None:
                return self._public(call)
            return self._api(call, call.api_path)
        except Rejected as rejected:
            return refusal(rejected.status, str(rejected))
        except UnknownInvitation:
            return refusal(self.unknown_id_status, "unknown connection_id")
        except LimitReached:
            return refusal(402, "the limit of the plan is reached")

    def _api(self, call: Call, name: str) -> Answer:
        if not hmac.compare_digest(call.headers.get("x-api-key", "").encode(), self.api_key.encode()):
            raise Rejected(403, "no access")
        if name not in METHODS or (name.endswith("/update") and name not in self.update_paths):
            raise Rejected(404, "unknown request URL")
        method, operation = METHODS[name]
        if call.method != method:
            raise Rejected(405, "wrong method")
        answer: Answer = getattr(self, f"_{operation}")(call)
        return answer

    # The methods, each named for its operation.

    def _list(self, call: Call) -> Answer:
        return ok(records.listing(self))

    def _info(self, call: Call) -> Answer:
        return self._one(self.row(call.number("connection_id")))

    def _create(self, call: Call) -> Answer:
        return self._one(self.create(call.query.get("client_name", "")))

    def _update(self, call: Call) -> Answer:
        id, name = self._wanted_name(call)
        self.rename(id, name)
        return ok({"status": 0})

    def _connect(self, call: Call) -> Answer:
        video = call.query.get("video", "false")
        if video not in ("true", "false"):
            raise Rejected(400, "video must be true or false")
        link = self.mint_link(call.number("connection_id"), recorded=video == "true")
        return ok(records.connect_link(self, link))

    def _close(self, call: Call) -> Answer:
        self.close(call.number("connection_id"))
        return Answer(200)

    def _history(self, call: Call) -> Answer:
        found = [session for session in self.history() if self._is_wanted(session, call)]
        offset = call.number("offset", 0)
        limit = min(call.number("limit", 20), HISTORY_LIMIT)
        page = [records.session(self, session) for session in found[offset : offset + limit]]
        total = len(found)
        return ok({"offset": offset, "limit": limit, "total": total, "filter": call.query, "data": page})

    def _is_wanted(self, session: Session, call: Call) -> bool:
        if call.query.get("agent_id"):
            return False
        return (
            call.number("support_id", session.row_id) == session.row_id
            and call.number("date_from", 0) <= session.started_at
            and session.started_at <= call.number("date_to", 2**53)
            and call.query.get("video", "false") in ("false", str(session.recorded).lower())
        )

    def _one(self, row: Row) -> Answer:
        return ok({"data": records.invitation(self, row)})

    def _wanted_name(self, call: Call) -> tuple[int, str]:
        try:
            wanted = json.loads(call.body)
            id, name = wanted["connection_id"], wanted["name"]
        except (ValueError, TypeError, KeyError):
            raise Rejected(400, "a JSON object with connection_id and name is needed") from None
        if type(id) is not int or not isinstance(name, str):
            raise Rejected(400, "connection_id must be a number and name a text")
        return id, name

    # Outside of the API.

    def _public(self, call: Call) -> Answer:
        kind, _, rest = call.path.removeprefix("/").partition("/")
        if call.method not in ("GET", "POST") or (call.method == "POST" and kind != "invite"):
            return pages.not_allowed()
        try:
            if kind == "invite":
                return self._invite(call, rest)
            if kind == "preview":
                return pages.picture(pictures.desktop(self.by_preview(rest.removesuffix(".png")).client_os))
            if kind == "turbo":
                return pages.connected(self.use_turbo(rest))
            if call.path == "/" and "connect" in call.query:
                return pages.connected(self.use_link(call.query.get("llt", ""), call.query.get("s", "")))
        except LinkUsed:
            return pages.already_used()
        except UnknownInvitation:
            return pages.not_found()
        return pages.stylesheet() if call.path == pages.STYLESHEET else pages.not_found()

    def _invite(self, call: Call, code: str) -> Answer:
        row = self.by_code(code)
        if not row.is_open:
            return pages.closed(row)
        if call.method == "GET":
            return pages.invite(row)
        if b"leave" in call.body:
            self.leave(row.id)
        else:
            self.join(row.id, pages.system_of(call.headers.get("user-agent", "")))
        return pages.see_other(f"/invite/{row.code}")
