"""From bytes of the vendor to our records, trusting nothing.

JSON is read strictly; fields are renamed here and nowhere else; `connect_url` is dropped here.
Raises Unreadable, whose text never contains a piece of the answer.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any, NoReturn

from portal.getscreen.errors import UNTRUSTED_LINK
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
MAX_VALUES = 500_000
MAX_INTEGER = 2**53
MAX_TEXT = 512
EARLIEST = 1_420_070_400  # 2015-01-01, before the vendor existed
RAW_NUMBER = re.compile(r"-?[0-9.]{1,20}\Z")
KNOWN_OS = ("win", "mac", "linux", "android")
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, line and paragraph separators
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# Possessive, and with an end even where the text has none: a hostile answer cannot make it try again and again.
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
BRACKETS = bytes.maketrans(b"{}", b"[]")
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Unreadable(ValueError):
    """An answer we do not understand."""


def read_json(body: bytes) -> Any:
    """Parse strict JSON: UTF-8, no duplicate keys, no NaN, no huge numbers, no deep nesting."""
    check_shape(body)
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=refuse_constant,
            parse_int=bounded,
            parse_float=finite,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates do not encode
        return value
    except Unreadable:
        raise
    except (ValueError, RecursionError):
        pass
    # Outside of the handler: the decoder's own error would carry the whole document along.
    raise Unreadable("not strict JSON")


def check_shape(body: bytes) -> None:
    """Refuse what is nested too deeply or has too many values, in linear time and before parsing it."""
    bare = STRING.sub(b"", body)
    if bare.count(b",") > MAX_VALUES:
        raise Unreadable("too many values")
    brackets = bare.translate(BRACKETS, NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")  # peels off the innermost level
    if brackets:
        raise Unreadable("nested too deeply, or never closed")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key appears twice")
    return found


def finite(digits: str) -> float:
    if len(digits) > MAX_TEXT or not math.isfinite(value := float(digits)):
        raise Unreadable("a number that is none")
    return value


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
    return "".join(char for char in composed if unicodedata.category(char) not in UNSEEN and char not in BIDI)[:limit]


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
    usable = [row for row in rows if identity(row) is not None]
    found = {one.id: one for one in (invitation(row, allowed=allowed, now=now) for row in usable)}
    remain = answer.get("remain") if isinstance(answer, dict) else None
    remaining = integer(remain) if isinstance(remain, int | str) else None
    return Listing(tuple(found.values()), remaining, len(rows) - len(usable), served_at)


def identity(row: Any) -> int | None:
    """Return the id of a row, None without a usable one."""
    return integer(row.get("id")) or None if isinstance(row, dict) else None


def invitation(row: Any, *, allowed: AllowedHosts, now: float) -> RemoteInvitation:
    """Read one invitation. Raises Unreadable without a usable id."""
    number = identity(row)
    if number is None:
        raise Unreadable("an invitation without an id")
    client_os = clean(row.get("client_os"), 20)
    code = row.get("invite_code")
    return RemoteInvitation(
        id=number,
        status=status(row.get("status")),
        raw_status=raw(row.get("status")),
        created_at=moment(row.get("create_time"), now),
        code=clean(str(code) if isinstance(code, int) and not isinstance(code, bool) else code, 64),
        invite_url=link(row.get("invite_url"), allowed),
        client_name=clean(row.get("client_name")),
        client_os=client_os if client_os in KNOWN_OS or not client_os else "unknown",
        preview_url=Secret(link(row.get("client_preview_url"), allowed)),
    )


def raw(value: object) -> str:
    """Return what was sent as a status. Only numbers: a text or an object could be a secret out of place."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return "none" if value is None else "not a number"
    return clean(str(value), 20) if not isinstance(value, str) or RAW_NUMBER.match(value) else "not a number"


def status(value: object) -> Status:
    number = integer(value)
    return Status(number) if number in (0, 1, 2, 3) else Status.UNKNOWN


def connect_link(answer: Any, *, allowed: AllowedHosts) -> ConnectLink:
    """Read the single-use link. Raises Unreadable if it leads anywhere but to an allowed host."""
    data = data_of(answer)
    url = link(data.get("url"), allowed) if isinstance(data, dict) else ""
    if not url:
        raise Unreadable(UNTRUSTED_LINK)
    return ConnectLink(Secret(url), re.split(r"[/?#]", url.split("://", 1)[1], maxsplit=1)[0])


def update_status(answer: Any) -> int | None:
    return integer(answer.get("status")) if isinstance(answer, dict) else None


def history(answer: Any, *, now: float) -> History:
    """Read one page of `history/list`; rows without an id are left out."""
    if not isinstance(answer, dict) or not isinstance(rows := data_of(answer), list) or len(rows) > MAX_ROWS:
        raise Unreadable("no history in the answer")
    sessions = tuple(session(row, now) for row in rows if identity(row) is not None)
    return History(sessions, integer(answer.get("total")) or 0, integer(answer.get("offset")) or 0)


def session(row: dict[str, Any], now: float) -> Session:
    people = row["client"] if isinstance(row.get("client"), list) else []
    video = row.get("video")
    return Session(
        id=identity(row) or 0,
        invitation_id=integer(row.get("support_id")),
        started_at=moment(row.get("start"), now),
        stopped_at=moment(row.get("stop"), now),
        operators=tuple(operator(one) for one in people if isinstance(one, dict)),
        has_recording=isinstance(video, dict) and bool(video.get("url")),
    )


def operator(row: dict[str, Any]) -> Operator:
    """The vendor calls the operator's side "client"."""
    return Operator(login=clean(row.get("login")), user_agent=clean(row.get("user_agent")))
