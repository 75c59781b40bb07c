"""How an answer is spoilt: each function takes a good answer and gives back a bad or an odd one.

Responsible for content alone, from wrong types to hostile links. Refuses to know operations and the
network: what does not fit an answer leaves it as it is.
"""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from portal.getscreen.simulator.answers import HTML, Answer, refusal

type Options = Mapping[str, Any]
type Damage = Callable[[Answer, Options], Answer]
type Record = dict[str, Any]

LINK_FIELDS = ("url", "invite_url", "connect_url", "client_preview_url")


def status(code: int, **defaults: Any) -> Damage:
    """An answer with this status. The option `retry_after` is sent as it is, however absurd."""

    def answer_with_status(answer: Answer, options: Options) -> Answer:
        refused = refusal(code, f"status {code} (simulated)")
        wait = {**defaults, **options}.get("retry_after")
        return refused if wait is None else refused.with_header("Retry-After", str(wait))

    return answer_with_status


def redirect(code: int) -> Damage:
    def redirected(answer: Answer, options: Options) -> Answer:
        location = options.get("location", "https://elsewhere.invalid/v1/support/list")
        return Answer(options.get("status", code), headers=(("Location", location),))

    return redirected


# The body as bytes.


def empty(answer: Answer, options: Options) -> Answer:
    return answer.with_body(b"")


def html(answer: Answer, options: Options) -> Answer:
    page = b"<!doctype html><title>Welcome to the guest network</title><p>Please accept the terms."
    return Answer(200, page, HTML)


def huge(answer: Answer, options: Options) -> Answer:
    """Valid JSON, but padded to more than 8 MiB."""
    return answer.with_body(answer.body + b" " * options.get("size", 8 * 1024 * 1024 + 1))


def gzipped(answer: Answer, options: Options) -> Answer:
    return answer.with_body(gzip.compress(answer.body)).with_header("Content-Encoding", "gzip")


def bom(answer: Answer, options: Options) -> Answer:
    return answer.with_body(b"\xef\xbb\xbf" + answer.body)


def utf16(answer: Answer, options: Options) -> Answer:
    return answer.with_body(answer.body.decode().encode("utf-16"))


def trailing_comma(answer: Answer, options: Options) -> Answer:
    """As in the documentation's own sample of an update."""
    return answer.with_body(answer.body[:-1] + b",}")


def member(text: bytes) -> Damage:
    """Adds a member, given as raw JSON text, in front of the others."""

    def with_member(answer: Answer, options: Options) -> Answer:
        rest = answer.body[1:]
        return answer.with_body(b"{" + text + b", " + rest) if rest else answer

    return with_member


def duplicate_keys(answer: Answer, options: Options) -> Answer:
    """The first member twice: absurd first, then as it should be."""
    for key in answer.payload or ():
        return member(f'"{key}": 4'.encode())(answer, options)
    return answer


def deep(answer: Answer, options: Options) -> Answer:
    levels = options.get("levels", 10_000)
    return member(b'"extra": ' + b"[" * levels + b"]" * levels)(answer, options)


# The payload.


def payload(change: Callable[[Any, Options], Any]) -> Damage:
    """Applies `change` to a copy of the JSON payload. Other answers are left as they are."""

    def changed(answer: Answer, options: Options) -> Answer:
        if answer.payload is None:
            return answer
        return answer.with_payload(change(copy.deepcopy(answer.payload), options))

    return changed


def top(change: Callable[[Record, Options], object]) -> Damage:
    """Changes the outermost object in place."""

    def changed(content: Record, options: Options) -> Record:
        change(content, options)
        return content

    return payload(changed)


def record(change: Callable[[Record, Options], object]) -> Damage:
    """Changes each record of the answer in place, be it one or a list."""

    def changed(content: Record, options: Options) -> None:
        data = content.get("data", ())
        for one in [data] if isinstance(data, dict) else data:
            change(one, options)

    return top(changed)


def field(name: str, value: object) -> Damage:
    """Sets a field of each record. The option `value` replaces the usual value."""

    def set_field(one: Record, options: Options) -> None:
        one[name] = options.get("value", value)

    return record(set_field)


def links(change: Callable[[str, Options], str]) -> Damage:
    """Changes every link of each record."""

    def changed(one: Record, options: Options) -> None:
        for name in LINK_FIELDS:
            if one.get(name):
                one[name] = change(one[name], options)

    return record(changed)


def no_remain(content: Record, options: Options) -> None:
    content.pop("remain", None)


def odd_remain(content: Record, options: Options) -> None:
    content["remain"] = options.get("value", "plenty")


def null_data(content: Record, options: Options) -> None:
    content["data"] = None


def text_data(content: Record, options: Options) -> None:
    content["data"] = "none"


def update_failed(answer: Answer, options: Options) -> Answer:
    """An internal error by the documentation, under a 200."""
    return answer.with_payload({"status": 4})


def bare_list(content: Record, options: Options) -> list[Any]:
    data = content.get("data", content)
    return data if isinstance(data, list) else [data]


def unknown_status(content: Record, options: Options) -> Record:
    if "status" in content:
        return {**content, "status": 7}
    data = content.get("data")
    for one in [data] if isinstance(data, dict) else data or ():
        one["status"] = 7
    return content


def wrong_types(content: Record, options: Options) -> Record:
    """Every value becomes one of another type."""
    return {name: _wrong(value) for name, value in content.items()}


def _wrong(value: Any) -> Any:
    if isinstance(value, list):
        return [_wrong(one) for one in value]
    if isinstance(value, dict):
        return {name: _wrong(one) for name, one in value.items()}
    return [value] if isinstance(value, str) else str(value) + "?"


def wrong_id(one: Record, options: Options) -> None:
    if "id" in one:
        one["id"] += 1


def odd_ids(content: Record, options: Options) -> None:
    """Rows nobody can act on join the good ones: ids missing, null, bool, float, negative, text."""
    data = content.get("data")
    if isinstance(data, list):
        data += [{"status": 0}, *({"id": id, "status": 0} for id in (None, True, 1.5, -1, "x"))]


def duplicate_ids(content: Record, options: Options) -> None:
    data = content.get("data")
    if isinstance(data, list):
        data += copy.deepcopy(data)


def many_rows(content: Record, options: Options) -> None:
    data = content.get("data")
    if isinstance(data, list):
        data += [_filler(number) for number in range(len(data), options.get("rows", 5_000))]


def _filler(number: int) -> Record:
    return {
        "id": 10_000_000 + number,
        "status": 0,
        "create_time": 1_600_262_268,
        "invite_code": f"{number:09}",
        "invite_url": f"https://https://go.getscreen.me/invite/{number:09}",
        "connect_url": "",
        "client_name": f"Row {number}",
        "client_os": "",
        "client_preview_url": "",
    }


# Links.


def ampersand(link: str, options: Options) -> str:
    return link.replace("&amp;", "&").replace("&", "&amp;")


def schemes(count: int) -> Callable[[str, Options], str]:
    """The link's scheme, this many times over."""

    def repeated(link: str, options: Options) -> str:
        scheme, rest = _split(link)
        return f"{scheme}://" * count + rest

    return repeated


def foreign_host(link: str, options: Options) -> str:
    scheme, rest = _split(link)
    _, slash, path = rest.partition("/")
    return f"{scheme}://{options.get('host', 'getscreen.me.evil.example')}{slash}{path}"


def http_link(link: str, options: Options) -> str:
    """Unencrypted, and on a host that is not this machine."""
    _, slash, path = _split(link)[1].partition("/")
    return f"http://{options.get('host', 'go.getscreen.me')}{slash}{path}"


def hostile_link(link: str, options: Options) -> str:
    return str(options.get("url", "javascript:alert(1)"))


def _split(link: str) -> tuple[str, str]:
    scheme, _, _ = link.partition("://")
    return scheme, link.replace(f"{scheme}://", "")


def skewed_date(answer: Answer, options: Options) -> Answer:
    """The vendor's clock is off by the option `seconds`, usually a day ahead."""
    return answer.with_header("Date", formatdate(_date(answer) + options.get("seconds", 86_400), usegmt=True))


def _date(answer: Answer) -> float:
    return parsedate_to_datetime(dict(answer.headers)["Date"]).timestamp()


def content_type(answer: Answer, options: Options) -> Answer:
    return replace(answer, content_type=options.get("value", "text/plain"))
