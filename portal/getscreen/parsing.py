"""From bytes of the vendor to our records, trusting nothing.

JSON is read strictly; fields are renamed here and nowhere else; `connect_url` is dropped here.
Raises Unreadable, whose text never contains a piece of the answer.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NoReturn

from portal.getscreen.links import AllowedHosts, LinkRefused, normalise
from portal.getscreen.types import (
    ConnectLink,
    History,
    Listing,
    Operator,
    RemoteInvitation,
    Secret,
    Session,
    Status,
)

MAX_ROWS = 20_000
MAX_DEPTH = 12
MAX_INTEGER = 2**53
MAX_TEXT = 512
EARLIEST = 1_420_070_400  # 2015-01-01, before the vendor existed
KNOWN_OS = ("win", "mac", "linux", "android")
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
OPENING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class Unreadable(ValueError):
    """An answer we do not understand."""


def read_json(body: bytes) -> Any:
    """Parse strict JSON: UTF-8, no duplicate keys, no NaN, no huge integers, no deep nesting."""
    check_depth(body)
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant, parse_int=bounded)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates do not encode
    except Unreadable:
        raise
    except (ValueError, RecursionError):
        raise Unreadable("not strict JSON") from None
    return value


def check_depth(body: bytes) -> None:
    depth = 0
    for match in OPENING.finditer(body):
        token = match.group()
        depth += (token in (b"[", b"{")) - (token in (b"]", b"}"))
        if depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key appears twice")
    return found


def refuse_constant(name: str) -> NoReturn:
    raise Unreadable("a number that is none")


def bounded(digits: str) -> int:
    if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
        raise Unreadable("an absurdly large number")
    return value


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """Return a text without control and direction characters, at most `limit` long, "" for anything else."""
    if not isinstance(value, str):
        return ""
    composed = unicodedata.normalize("NFC", value[: limit * 4])
    return "".join(char for char in composed if unicodedata.category(char) != "Cc" and char not in BIDI)[
        :limit
    ]


def integer(value: object) -> int | None:
    """Return a whole number that is 0 or more; digits in a text count, booleans do not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_INTEGER else None


def moment(value: object, now: float) -> int | None:
    """Return unix seconds between 2015 and tomorrow, None for anything else."""
    seconds = integer(value)
    return seconds if seconds is not None and EARLIEST <= seconds <= now + 86_400 else None


def link(value: object, allowed: AllowedHosts) -> str:
    try:
        return normalise(value, allowed)
    except LinkRefused:
        return ""


def data_of(answer: Any) -> Any:
    if not isinstance(answer, dict) or "data" not in answer:
        raise Unreadable("no data in the answer")
    return answer["data"]


def listing(answer: Any, *, allowed: AllowedHosts, now: float, served_at: int | None) -> Listing:
    """Read the answer of `support/list`; a bare list is accepted as well."""
    rows = answer if isinstance(answer, list) else data_of(answer)
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise Unreadable("the list is none, or absurdly long")
    found = {row.id: row for row in invitations(rows, allowed, now)}
    remain = answer.get("remain") if isinstance(answer, dict) else None
    remaining = integer(remain) if isinstance(remain, int | str) else None
    return Listing(tuple(found.values()), remaining, len(rows) - len(found), served_at)


def invitations(rows: Iterable[Any], allowed: AllowedHosts, now: float) -> Iterable[RemoteInvitation]:
    for row in rows:
        try:
            yield invitation(row, allowed=allowed, now=now)
        except Unreadable:
            continue


def invitation(row: Any, *, allowed: AllowedHosts, now: float) -> RemoteInvitation:
    """Read one invitation. Raises Unreadable without a usable id."""
    number = integer(row.get("id")) if isinstance(row, dict) else None
    if number is None or number == 0:
        raise Unreadable("an invitation without an id")
    client_os = clean(row.get("client_os"), 20)
    code = row.get("invite_code")
    return RemoteInvitation(
        id=number,
        status=status(row.get("status")),
        raw_status=clean(str(row.get("status")), 20),
        created_at=moment(row.get("create_time"), now),
        code=clean(str(code) if isinstance(code, int) and not isinstance(code, bool) else code, 64),
        invite_url=link(row.get("invite_url"), allowed),
        client_name=clean(row.get("client_name")),
        client_os=client_os if client_os in KNOWN_OS or not client_os else "unknown",
        preview_url=Secret(link(row.get("client_preview_url"), allowed)),
    )


def status(value: object) -> Status:
    number = integer(value)
    return Status(number) if number in (0, 1, 2, 3) else Status.UNKNOWN


def connect_link(answer: Any, *, allowed: AllowedHosts) -> ConnectLink:
    """Read the single-use link. Raises Unreadable if it leads anywhere but to an allowed host."""
    data = data_of(answer)
    try:
        url = normalise(data.get("url") if isinstance(data, dict) else None, allowed)
    except LinkRefused:
        raise Unreadable("a link we do not trust") from None
    return ConnectLink(Secret(url), re.split(r"[/?#]", url.split("://", 1)[1], maxsplit=1)[0])


def update_status(answer: Any) -> int | None:
    return integer(answer.get("status")) if isinstance(answer, dict) else None


def history(answer: Any, *, now: float) -> History:
    """Read one page of `history/list`; rows without an id are left out."""
    if not isinstance(answer, dict) or not isinstance(rows := data_of(answer), list) or len(rows) > MAX_ROWS:
        raise Unreadable("no history in the answer")
    sessions = tuple(session(row, now) for row in rows if isinstance(row, dict) and integer(row.get("id")))
    return History(sessions, integer(answer.get("total")) or 0, integer(answer.get("offset")) or 0)


def session(row: dict[str, Any], now: float) -> Session:
    people = row["client"] if isinstance(row.get("client"), list) else []
    video = row.get("video")
    return Session(
        id=integer(row.get("id")) or 0,
        invitation_id=integer(row.get("support_id")),
        started_at=moment(row.get("start"), now),
        stopped_at=moment(row.get("stop"), now),
        operators=tuple(operator(one) for one in people if isinstance(one, dict))
        if isinstance(people, list)
        else (),
        has_recording=isinstance(video, dict) and bool(video.get("url")),
    )


def operator(row: dict[str, Any]) -> Operator:
    """The vendor calls the operator's side "client"."""
    return Operator(login=clean(row.get("login")), user_agent=clean(row.get("user_agent")))
