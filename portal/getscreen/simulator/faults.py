"""The table of everything that can go wrong at the vendor or on the way, and the queue of what shall.

Responsible for one row per fault with its flags, so that tests can make matrices from it. Refuses to know
how a fault is carried out: see `damage` for answers and `steps` for connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from portal.getscreen.simulator import damage, steps
from portal.getscreen.simulator.answers import Answer

OPERATIONS = ("list", "info", "create", "update", "connect", "close", "history", "preview")
ROWS = ("list", "info", "create")
WITH_DATA = (*ROWS, "connect", "history")
WITH_BODY = (*WITH_DATA, "update")
NOT_CLOSE = (*WITH_BODY, "preview")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    acts: a call that changes things has been carried out at the vendor.
    spoil: damages the answer. script: what happens on the connection instead of an answer.
    connects: whether a connection comes about at all.
    on_port: whether a real port can do it; one that cannot is refused there.
    fits: the operations it makes a difference to.
    harmless: the operations whose answer is odd, yet good enough to be used, less the rows without an id.
    """

    name: str
    acts: bool
    spoil: damage.Damage | None = None
    script: Callable[[Answer, steps.Options], steps.Script] | None = None
    connects: bool = True
    on_port: bool = True
    fits: tuple[str, ...] = OPERATIONS
    harmless: tuple[str, ...] = ()

    @property
    def network(self) -> bool:
        """Whether it happens on the connection, so that there is no whole HTTP answer."""
        return self.script is not None or not self.connects


STATUSES = (400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 429, 500, 502, 503, 504, 520)

DEFINED: tuple[Fault, ...] = (
    *(Fault(f"status_{code}", False, damage.status(code)) for code in STATUSES),
    Fault("status_429_retry_after", False, damage.status(429, retry_after=7)),
    Fault("status_503_retry_after", False, damage.status(503, retry_after=7)),
    Fault("redirect", False, damage.redirect(302)),
    Fault("redirect_307", False, damage.redirect(307)),
    Fault("html", False, damage.html, fits=NOT_CLOSE),
    # No connection.
    Fault("refused", False, connects=False),
    Fault("no_such_host", False, connects=False, on_port=False),
    Fault("connect_timeout", False, connects=False, on_port=False),
    Fault("bad_certificate", False, connects=False, on_port=False),
    # Broken connections.
    Fault("reset_before", False, script=steps.reset),
    Fault("reset_after", True, script=steps.reset),
    Fault("reset_mid_body", True, script=steps.reset_mid_body, fits=NOT_CLOSE),
    Fault("hang_up", False, script=steps.hang_up),
    Fault("hang_up_after", True, script=steps.hang_up),
    Fault("hang", False, script=steps.hang),
    Fault("hang_after", True, script=steps.hang),
    Fault("slow", True, script=steps.slow, harmless=OPERATIONS),
    Fault("drip", True, script=steps.drip, fits=NOT_CLOSE),
    Fault("drip_headers", True, script=steps.drip_headers),
    Fault("truncated", True, script=steps.truncated, fits=NOT_CLOSE),
    Fault("bad_status_line", True, script=steps.bad_status_line),
    Fault("long_header", True, script=steps.long_header),
    Fault("broken_chunks", True, script=steps.broken_chunks),
    # Bodies that are not the JSON they should be.
    Fault("empty", True, damage.empty, fits=NOT_CLOSE),
    Fault("huge", True, damage.huge, fits=NOT_CLOSE),
    Fault("gzip", True, damage.gzipped, fits=NOT_CLOSE),
    Fault("bom", True, damage.bom, fits=WITH_BODY),
    Fault("utf16", True, damage.utf16, fits=WITH_BODY),
    Fault("invalid_utf8", True, damage.member(b'"extra": "\xff\xfe"'), fits=WITH_BODY),
    Fault("surrogate", True, damage.member(rb'"extra": "\ud800"'), fits=WITH_BODY),
    Fault("nan", True, damage.member(b'"extra": NaN'), fits=WITH_BODY),
    Fault("infinite", True, damage.member(b'"extra": 1e999'), fits=WITH_BODY),
    Fault("huge_int", True, damage.member(b'"extra": ' + b"9" * 5_000), fits=WITH_BODY),
    Fault("deep", True, damage.deep, fits=WITH_BODY),
    Fault("trailing_comma", True, damage.trailing_comma, fits=WITH_BODY),
    Fault("duplicate_keys", True, damage.duplicate_keys, fits=WITH_BODY),
    Fault("text_type", True, damage.content_type, fits=WITH_BODY, harmless=WITH_BODY),
    Fault("extra_fields", True, damage.member(b'"extra": {"a": [1]}'), fits=WITH_BODY, harmless=WITH_BODY),
    # JSON of another shape.
    Fault("wrong_types", True, damage.payload(damage.wrong_types), fits=WITH_BODY, harmless=("list", "history")),
    Fault("null_data", True, damage.top(damage.null_data), fits=WITH_DATA),
    Fault("text_data", True, damage.top(damage.text_data), fits=WITH_DATA),
    Fault("bare_list", True, damage.payload(damage.bare_list), fits=WITH_BODY, harmless=("list",)),
    Fault("wrong_id", True, damage.record(damage.wrong_id), fits=("info",)),
    Fault("odd_ids", True, damage.top(damage.odd_ids), fits=("list",), harmless=("list",)),
    Fault("duplicate_ids", True, damage.top(damage.duplicate_ids), fits=("list",), harmless=("list",)),
    Fault("many_rows", True, damage.top(damage.many_rows), fits=("list",), harmless=("list",)),
    Fault("no_remain", True, damage.top(damage.no_remain), fits=("list",), harmless=("list",)),
    Fault("odd_remain", True, damage.top(damage.odd_remain), fits=("list",), harmless=("list",)),
    Fault("unknown_status", True, damage.payload(damage.unknown_status), fits=(*ROWS, "update"), harmless=ROWS),
    Fault("unknown_os", True, damage.field("client_os", "beos"), fits=ROWS, harmless=ROWS),
    Fault("null_name", True, damage.field("client_name", None), fits=ROWS, harmless=ROWS),
    Fault("odd_time", True, damage.field("create_time", -1), fits=ROWS, harmless=ROWS),
    Fault("update_status_4", False, damage.update_failed, fits=("update",)),
    Fault("skewed_date", True, damage.skewed_date, harmless=OPERATIONS),
    # Links. In rows a link we do not trust is left out; the row stays good.
    Fault("ampersand", True, damage.links(damage.ampersand), fits=("connect",), harmless=("connect",)),
    Fault(
        "doubled_scheme",
        True,
        damage.links(damage.schemes(2)),
        fits=(*ROWS, "connect"),
        harmless=(*ROWS, "connect"),
    ),
    Fault("tripled_scheme", True, damage.links(damage.schemes(3)), fits=(*ROWS, "connect"), harmless=ROWS),
    Fault("foreign_host", True, damage.links(damage.foreign_host), fits=(*ROWS, "connect"), harmless=ROWS),
    Fault("http_link", True, damage.links(damage.http_link), fits=(*ROWS, "connect"), harmless=ROWS),
    Fault("hostile_link", True, damage.links(damage.hostile_link), fits=(*ROWS, "connect"), harmless=ROWS),
)

TABLE: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in DEFINED})
FAULTS: tuple[str, ...] = tuple(TABLE)


class OnTheConnection(Exception):
    """Raised through WSGI for a fault that no WSGI answer can express. The server plays its script."""

    def __init__(self, planned: Planned, answer: Answer) -> None:
        super().__init__(planned.fault.name)
        self.planned = planned
        self.answer = answer

    def script(self) -> steps.Script:
        play = self.planned.fault.script or steps.reset
        return play(self.answer, self.planned.options)


@dataclass(slots=True)
class Planned:
    """A fault that waits for its operation. `times` None means until it is cleared."""

    operation: str
    fault: Fault
    times: int | None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """The option `acts` wins, so that a 502 can follow a create that happened."""
        return bool(self.options.get("acts", self.fault.acts))

    def concerns(self, operation: str) -> bool:
        return self.operation == operation or (self.operation == "*" and operation in OPERATIONS)


class Queue:
    """Thread-safe. The oldest planned fault that concerns an operation is taken first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Planned] = []

    def add(self, operation: str, name: str, times: int | None, options: Mapping[str, Any]) -> None:
        if operation not in (*OPERATIONS, "*"):
            raise ValueError(f"no such operation: {operation}")
        if name not in TABLE:
            raise ValueError(f"no such fault: {name}")
        with self._lock:
            self._planned.append(Planned(operation, TABLE[name], times, dict(options)))

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def take(self, operation: str, *, connecting: bool = False) -> Planned | None:
        """The next fault of this operation, used up once; if `connecting`, only one without a connection."""
        with self._lock:
            for planned in self._planned:
                if planned.concerns(operation):
                    return None if connecting and planned.fault.connects else self._use(planned)
        return None

    def refuses(self) -> bool:
        """Whether any planned fault allows no connection."""
        with self._lock:
            return any(not planned.fault.connects for planned in self._planned)

    def _use(self, planned: Planned) -> Planned:
        if planned.times is not None:
            planned.times -= 1
            if planned.times <= 0:
                self._planned.remove(planned)
        return planned
