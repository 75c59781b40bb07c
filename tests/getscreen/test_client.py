"""Each call of the API, its ambiguities, and every fault of the simulator seen through the client."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from contextlib import ExitStack
from dataclasses import replace

import pytest
import requests

from portal.getscreen.client import (
    TIMINGS,
    Client,
    validate_base_url,
    validate_connect_path,
    validate_proxy_url,
    validate_update_path,
)
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
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import TABLE, Simulator, serve
from portal.getscreen.types import Secret
from tests.getscreen.wire import Wire, answer, drip
from tests.simulated import mount, quick_timings

KEY = "test-key-not-real"
URL = "http://127.0.0.1:1/v1"
CLIENT = "Tilda Kerr"
ACTING = ("create", "update", "connect", "close")
CASES = [
    pytest.param(operation, name, id=f"{operation}-{name}")
    for name, fault in TABLE.items()
    for operation in fault.fits
    if operation != "preview"
]


@pytest.fixture
def simulator():
    return Simulator(api_key=KEY, seed=1)


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


@pytest.fixture
def make(simulator, session):
    mount(session, simulator, URL)

    def make(**changes) -> Client:
        settings = {
            "api_key": Secret(KEY),
            "base_url": URL,
            "link_hosts": AllowedHosts.parse(["getscreen.me"]),
            "session": session,
            "sleep": lambda seconds: None,
        }
        return Client(**settings | changes)

    return make


@pytest.fixture
def api(make):
    return make()


@pytest.fixture
def row(simulator):
    return simulator.add("Tilda", status=1, client_os="win", code="987654321")


def call(api: Client, operation: str, number: int):
    calls = {
        "list": lambda: api.list(),
        "info": lambda: api.info(number),
        "create": lambda: api.create("Kim"),
        "update": lambda: api.rename(number, "New"),
        "connect": lambda: api.connect(number),
        "close": lambda: api.close(number),
        "history": lambda: api.history(),
        "preview": lambda: api.preview(api.info(number).preview_url),
    }
    return calls[operation]()


def secrets_of(simulator: Simulator) -> list[str]:
    links = [*simulator.ledger.links, *simulator.ledger.turbo_links]
    rows = simulator.rows().values()
    return [KEY, "https://", URL, "987654321", *links, *(one.turbo for one in rows), *(one.preview for one in rows)]


def shown(error: BaseException) -> str:
    """Whatever an error, its traceback and the errors before it tell."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    found: BaseException | None = error
    while found is not None:
        text += f"{found} {found!r} {found.args} {vars(found)}"
        assert isinstance(found, GetscreenError)
        found = found.__cause__ or found.__context__
    return text


# Every fault on every call.


@pytest.mark.parametrize(("operation", "name"), CASES)
def test_every_fault_of_every_call_is_one_of_our_errors_or_harmless(operation, name, api, simulator, row, caplog):
    caplog.set_level(logging.DEBUG)
    kind = {"create": "created", "update": "renamed", "connect": "link_minted", "close": "closed"}.get(operation, "")
    before = simulator.ledger.count(kind)
    simulator.fail(operation, name, times=None)
    error: GetscreenError | None = None
    try:
        call(api, operation, row)
    except GetscreenError as failure:
        error = failure
    happened = simulator.ledger.count(kind) - before if kind else 0
    if error is None:
        assert operation in TABLE[name].harmless or operation == "close", "a failure was called a success"
    else:
        assert error.may_have_acted or not happened, "it happened, but was called a failure"
        assert not error.may_have_acted or operation in ACTING
        assert_tells_nothing(shown(error), simulator)
    assert happened <= 1
    assert_tells_nothing(caplog.text, simulator)


def assert_tells_nothing(text: str, simulator: Simulator) -> None:
    assert not [secret for secret in secrets_of(simulator) if secret in text]


@pytest.mark.parametrize("name", [name for name, fault in TABLE.items() if not fault.connects])
@pytest.mark.parametrize("operation", ACTING)
def test_without_a_connection_there_is_one_more_try_and_it_counts_once(operation, name, api, simulator, row):
    simulator.fail(operation, name, times=1)
    call(api, operation, row)
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 1
    simulator.fail(operation, name, times=None)
    with pytest.raises(Unavailable) as caught:
        call(api, operation, row)
    assert caught.value.may_have_acted is False


@pytest.mark.parametrize("name", ["reset_before", "reset_after", "hang_up", "hang_up_after", "hang", "hang_after"])
@pytest.mark.parametrize("operation", ACTING)
def test_on_a_real_port_a_broken_connection_may_have_acted_and_is_not_tried_again(operation, name, simulator, row):
    with serve(simulator) as server:
        simulator.public_url = server.origin
        api = Client(
            api_key=Secret(KEY),
            base_url=server.url,
            link_hosts=AllowedHosts.parse([f"{server.host}:{server.port}"]),
            timings={name: replace(timing, read=0.1) for name, timing in quick_timings().items()},
        )
        simulator.fail(operation, name, times=1)
        with pytest.raises(Unavailable) as caught:
            call(api, operation, row)
    assert caught.value.may_have_acted is True
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 1


@pytest.mark.parametrize("operation", ["list", "info", "history"])
def test_what_only_reads_is_tried_again(operation, api, simulator, row):
    for name in ("reset_before", "status_502"):
        simulator.fail(operation, name, times=1)
        call(api, operation, row)
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 4


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (401, KeyRejected),
        (402, QuotaExhausted),
        (403, BadRequest),
        (404, NotFound),
        (405, BadRequest),
        (409, BadRequest),
        (422, BadRequest),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (520, Unavailable),
    ],
)
def test_a_status_becomes_the_error_it_stands_for(status, error, api, simulator):
    simulator.fail("create", f"status_{status}", times=None)
    with pytest.raises(error) as caught:
        api.create()
    assert type(caught.value) is error
    assert caught.value.status == status
    assert caught.value.may_have_acted is (status >= 500)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_of_a_list_only_a_whole_answer_counts(status):
    with Wire([answer(b'{"data": []}', f"{status} X")]) as wire, pytest.raises(Malformed):
        real(wire).list()


def test_a_create_that_says_yes_in_another_way_has_created():
    with Wire([answer(b'{"data": {"id": 7, "status": 0}}', "201 Created")]) as wire:
        assert real(wire).create().id == 7


@pytest.mark.parametrize(("value", "seconds"), [("0", 1), ("-1", None), (10**9, 300), ("soon", None), ("7", 7)])
def test_a_wish_to_wait_is_passed_on(value, seconds, api, simulator):
    for operation, name in (("list", "status_429"), ("create", "status_429"), ("create", "status_503")):
        simulator.fail(operation, name, retry_after=value)
        with pytest.raises(Unavailable) as caught:
            call(api, operation, 0)
        assert caught.value.retry_after == seconds


def real(wire: Wire, **changes) -> Client:
    settings = {"api_key": Secret(KEY), "base_url": wire.url(), "timings": quick_timings()}
    hosts = AllowedHosts.parse(["getscreen.me", f"127.0.0.1:{wire.port}"])
    return Client(**{"link_hosts": hosts, "sleep": lambda seconds: None} | settings | changes)


# The calls.


def test_requests_are_formed_as_documented(api, simulator, row):
    api.list()
    api.info(row)
    api.create("Zoë & 1 + 1 = 100 %")
    api.create()
    api.rename(row, "Zoë")
    for record in (None, True, False):
        api.connect(row, record=record)
    api.history(invitation_id=row, date_from=1, date_to=2, offset=3, limit=999)
    api.history()
    api.close(row)
    seen = [(one.method, one.path.removeprefix("/v1/"), dict(one.query), one.body) for one in simulator.ledger.requests]
    number = {"connection_id": str(row)}
    renamed = json.dumps({"connection_id": row, "name": "Zoë"}).encode()
    page = {"support_id": str(row), "date_from": "1", "date_to": "2", "offset": "3", "limit": "100"}
    assert seen == [
        ("GET", "support/list", {}, b""),
        ("GET", "support/info", number, b""),
        ("POST", "support/create", {"client_name": "Zoë & 1 + 1 = 100 %"}, b""),
        ("POST", "support/create", {}, b""),
        ("POST", "support/update", {}, renamed),
        ("POST", "support/connect", number, b""),
        ("POST", "support/connect", number | {"video": "true"}, b""),
        ("POST", "support/connect", number | {"video": "false"}, b""),
        ("GET", "history/list", page, b""),
        ("GET", "history/list", {"offset": "0", "limit": "100"}, b""),
        ("POST", "support/close", number, b""),
    ]
    assert all(one.headers["x-api-key"] == "present" for one in simulator.ledger.requests)
    types = {one.path: one.headers.get("content-type") for one in simulator.ledger.requests}
    assert types["/v1/support/update"] == "application/json"
    assert simulator.ledger.count("key_leaked") == 0


def test_info_has_to_be_about_the_invitation_asked_for(api, simulator, row):
    simulator.fail("info", "wrong_id")
    with pytest.raises(Malformed):
        api.info(row)
    assert api.info(row, before_connect=True).id == row


def test_a_link_to_another_host_is_malformed_and_may_have_been_minted(api, simulator, row):
    simulator.fail("connect", "foreign_host")
    with pytest.raises(Malformed) as caught:
        api.connect(row)
    assert caught.value.may_have_acted is True


def test_a_list_survives_odd_rows(api, simulator, row):
    simulator.fail("list", "odd_ids")
    assert [one.id for one in api.list().invitations] == [row]
    simulator.fail("list", "odd_ids")
    assert api.list().dropped == 6
    simulator.fail("list", "duplicate_ids")
    assert api.list().dropped == 0


def test_a_list_of_eight_megabytes_is_refused_once(api, simulator):
    simulator.fail("list", "huge", times=None)
    with pytest.raises(Malformed):
        api.list()
    assert len(simulator.ledger.requests) == 1


# Renaming.


def paths(simulator: Simulator) -> list[str]:
    return [one.path.removeprefix("/v1/") for one in simulator.ledger.requests]


def test_the_printed_path_is_called_only_after_an_unknown_url_and_then_remembered(api, simulator, row):
    simulator.update_paths = frozenset({"agents/update"})
    api.rename(row, "One")
    api.rename(row, "Two")
    assert paths(simulator) == [
        "support/update",
        "agents/update",
        "support/info",
        "agents/update",
        "support/info",
    ]
    assert simulator.row(row).client_name == "Two"
    bodies = [one.body for one in simulator.ledger.find("/update")]
    assert bodies[0] == bodies[1]


def test_the_named_path_is_remembered_too_until_it_is_unknown(api, simulator, row):
    api.rename(row, "One")
    simulator.update_paths = frozenset({"agents/update"})
    with pytest.raises(NotFound):
        api.rename(row, "Two")
    api.rename(row, "Three")
    assert paths(simulator) == ["support/update"] * 3 + ["agents/update", "support/info"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 429, 500, 503])
def test_no_other_failure_leads_to_the_printed_path(status, api, simulator, row):
    simulator.fail("update", f"status_{status}", times=None)
    with pytest.raises(GetscreenError):
        api.rename(row, "New")
    assert "agents/update" not in paths(simulator)


@pytest.mark.parametrize("fixed", ["support/update", "agents/update", "/support/rename/"])
def test_a_fixed_path_is_the_only_one(fixed, make, simulator, row):
    simulator.update_paths = frozenset()
    for _ in range(2):
        api = make(update_path=fixed)
        for _ in range(2):
            with pytest.raises(NotFound):
                api.rename(row, "New")
    assert set(paths(simulator)) == {fixed.strip("/")}


def test_a_server_that_knows_neither_path_is_asked_for_both_each_time(api, simulator, row):
    simulator.update_paths = frozenset()
    for _ in range(2):
        with pytest.raises(NotFound):
            api.rename(row, "New")
    assert paths(simulator) == ["support/update", "agents/update"] * 2


def test_a_name_that_does_not_show_up_is_uncertain_and_its_path_not_remembered(api, simulator, row):
    simulator.update_paths = frozenset({"agents/update"})
    simulator.after("update", lambda: None)
    simulator.after("update", lambda: simulator.rename(row, "Somebody else"))
    with pytest.raises(Malformed) as caught:
        api.rename(row, "New")
    assert caught.value.may_have_acted is True
    simulator.ledger = type(simulator.ledger)()
    api.rename(row, "New")
    assert paths(simulator)[0] == "support/update"


def test_a_name_nobody_can_confirm_is_uncertain(make, simulator, row):
    simulator.update_paths = frozenset({"agents/update"})
    simulator.fail("info", "status_500", times=None)
    for update_path in ("", "agents/update"):
        with pytest.raises(Malformed) as caught:
            make(update_path=update_path).rename(row, "New")
        assert (caught.value.may_have_acted, caught.value.status) == (True, 500)


@pytest.mark.parametrize("name", ["Zoe\u0308", "New ", "a\u202eb", "x" * 600])
def test_a_name_counts_as_shown_in_its_clean_form(make, simulator, row, name):
    simulator.update_paths = frozenset({"agents/update"})
    make().rename(row, name)


@pytest.mark.parametrize(
    ("body", "maybe"),
    [
        ('{"status": 4}', False),
        ('{"status": 7}', True),
        ('{"status": null}', True),
        ('{"status": true}', True),
        ("{}", True),
        ("[]", True),
        ("", True),
    ],
)
def test_anything_but_a_zero_is_a_failure_and_only_the_documented_one_is_certain(body, maybe):
    with Wire([answer(body.encode())]) as wire:
        with pytest.raises(Malformed) as caught:
            real(wire).rename(7, "New")
        assert caught.value.may_have_acted is maybe
        assert len(wire.received) == 1


# Closing.


@pytest.mark.parametrize("status", [400, 403, 404])
def test_after_a_refused_close_the_list_decides(status, api, simulator, row):
    simulator.fail("close", f"status_{status}", times=None)
    with pytest.raises(Refused) as caught:
        api.close(row)
    assert caught.value.status == status
    simulator.close(row)
    api.close(row)


@pytest.mark.parametrize("status", [401, 402, 429, 500])
def test_after_any_other_failure_the_list_does_not_decide(status, api, simulator, row):
    simulator.close(row)
    simulator.fail("close", f"status_{status}", times=None)
    with pytest.raises(GetscreenError):
        api.close(row)


@pytest.mark.parametrize("fault", ["status_500", "html", "empty", "odd_ids", "null_data", "truncated", "reset_before"])
def test_a_list_that_is_broken_or_lacks_rows_closes_nothing(fault, api, simulator):
    simulator.fail("list", fault, times=None)
    with pytest.raises(GetscreenError):
        api.close(999_999)


def test_one_that_the_list_calls_closed_is_closed():
    listed = b'{"data": [{"id": 7, "status": 3}]}'
    with Wire([answer(b"", "400 Bad Request")], [answer(listed)]) as wire:
        real(wire).close(7)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b'{"status": 4}', b"x" * 100_000])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_only_the_status_of_a_close_counts(body, status):
    with Wire([answer(body, status, "Content-Encoding: gzip")]) as wire:
        real(wire).close(7)
        assert len(wire.received) == 1


# The key.


def test_a_403_is_the_key_s_if_the_list_says_so_too(make, simulator, row):
    api = make(api_key=Secret("wrong-key-not-real"))
    for operation in ("list", "info", "create", "update", "connect", "close", "history"):
        with pytest.raises(KeyRejected):
            call(api, operation, row)


@pytest.mark.parametrize("listed", ["", "status_500", "status_402", "html"])
def test_a_403_is_the_id_s_if_the_list_does_not_say_so(listed, api, simulator, row):
    simulator.fail("info", "status_403", times=None)
    if listed:
        simulator.fail("list", listed, times=None)
    with pytest.raises(BadRequest):
        api.info(row)


def test_without_a_key_nothing_is_sent(make, simulator, row):
    api = make(api_key=Secret(""))
    for operation in ("list", "create", "connect", "close"):
        with pytest.raises(KeyRejected):
            call(api, operation, row)
    assert simulator.ledger.requests == ()


def test_a_fingerprint_tells_keys_apart_and_nothing_else(make):
    one, other = make(), make(api_key=Secret("other-key-not-real"))
    assert one.fingerprint == make().fingerprint != other.fingerprint
    assert KEY not in f"{one} {one!r} {one.fingerprint}"
    assert len(one.fingerprint) == 8


def test_a_secret_does_not_come_out_by_itself():
    secret = Secret(KEY)
    texts = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "%s" % secret, f"{[secret]}"]  # noqa: UP031
    texts += ["{:s}".format(secret), repr({"a": secret})]  # noqa: UP032
    assert not [text for text in texts if KEY in text]
    for steal in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, len, list, sorted):
        with pytest.raises(TypeError) as caught:
            steal(secret)
        assert KEY not in str(caught.value)
    assert not hasattr(secret, "__dict__")
    assert (secret == Secret(KEY), secret == Secret("another"), secret == KEY) == (True, False, False)


def test_two_clients_of_one_server_share_no_cookies():
    with Wire([answer(b'{"data": []}', "200 OK", "Set-Cookie: a=b; Path=/")]) as wire, requests.Session() as session:
        for api in (real(wire), real(wire), real(wire, session=session), real(wire, session=session)):
            api.list()
            api.list()
            api.close(7)
        assert not any(b"cookie:" in one.lower() for one in wire.received)
        assert not session.cookies


@pytest.mark.parametrize("operation", ["list", "info", "create", "update", "connect", "close", "history"])
def test_a_redirect_is_malformed_and_the_key_stays_here(operation):
    with ExitStack() as stack:
        elsewhere = stack.enter_context(Wire([answer()]))
        location = f"Location: {elsewhere.url()}/support/list"
        wire = stack.enter_context(Wire([answer(b"", "307 Temporary Redirect", location)]))
        with pytest.raises(Malformed) as caught:
            call(real(wire), operation, 7)
        assert caught.value.may_have_acted is (operation in ACTING)
        assert elsewhere.connections == 0
        assert len(wire.received) == 1


def test_what_an_error_body_repeats_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    link = "https://go.getscreen.me/turbo/abcdef"
    body = f'{{"error": "bad key {KEY}", "code": "987654321", "url": "{link}", "note": "plan over"}}'
    with Wire([answer(body.encode(), "402 Payment Required")]) as wire:
        with pytest.raises(QuotaExhausted) as caught:
            real(wire).create(CLIENT)
        text = caplog.text + shown(caught.value)
    assert "plan over" in text
    assert not [word for word in (KEY, "987654321", "turbo", CLIENT, "127.0.0.1") if word in text]


@pytest.mark.parametrize("script", [drip(answer()), [answer()[:-12], *drip(b'{"data": []}')]], ids=["head", "body"])
def test_one_byte_at_a_time_ends_at_the_deadline(script):
    timings = {name: replace(timing, read=2, deadline=0.2) for name, timing in TIMINGS.items()}
    with Wire(script) as wire:
        api = real(wire, timings=timings)
        for operation, maybe in (("list", False), ("create", True)):
            with pytest.raises(Unavailable) as caught:
                call(api, operation, 7)
            assert caught.value.may_have_acted is maybe


# Pictures.

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 17 + b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20 + b"\xff\xd9"
WEBP = b"RIFF" + (16).to_bytes(4, "little") + b"WEBPVP8 " + b"\0" * 8


def picture(body: bytes, kind: str = "image/png", status: str = "200 OK", *headers: str) -> bytes:
    return answer(body, status, *headers).replace(b"application/json", kind.encode())


def look(wire: Wire):
    return real(wire).preview(Secret(f"http://127.0.0.1:{wire.port}/preview/a.png"))


@pytest.mark.parametrize(
    ("body", "claimed", "found"),
    [
        (PNG, "image/png", "image/png"),
        (JPEG, "image/jpeg", "image/jpeg"),
        (WEBP, "image/webp", "image/webp"),
        (JPEG, "image/png", "image/jpeg"),
        (PNG, "IMAGE/PNG; a=b", "image/png"),
    ],
)
def test_a_picture_is_what_its_bytes_say(body, claimed, found):
    with Wire([picture(body, claimed)]) as wire:
        seen = look(wire)
        assert (seen.content_type, seen.body) == (found, body)
        head = wire.received[0].lower()
        assert b"x-api-key" not in head
        assert b"accept: image/*" in head
        assert KEY.encode() not in head


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (PNG, "text/html"),
        (PNG, "image/svg+xml"),
        (PNG, "application/json"),
        (PNG, ""),
        (b"", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<svg/>", "image/png"),
        (b"<!doctype html>", "image/png"),
        (b"GIF89a", "image/gif"),
        (PNG[:8], "image/png"),
        (PNG[:-1], "image/png"),
        (PNG + b"<script>alert(1)</script>", "image/png"),
        (PNG + b"PK\x03\x04", "image/png"),
        (PNG[:20] + b"<HTML>" + PNG[20:], "image/png"),
        (JPEG[:20] + b"<Script>" + JPEG[20:], "image/jpeg"),
        (JPEG[:-2], "image/jpeg"),
        (WEBP + b"x", "image/webp"),
        (WEBP[:-1], "image/webp"),
        (b"RIFF\x14\0\0\0WAVEfmt " + b"\0" * 12, "image/webp"),
        (b"\0" + PNG, "image/png"),
    ],
)
def test_what_is_no_picture_or_more_than_one_is_refused(body, claimed):
    with Wire([picture(body, claimed)]) as wire, pytest.raises(Malformed):
        look(wire)


def test_a_picture_has_at_most_512_kibibytes():
    limit = 512 * 1024
    for size, error in ((limit, None), (limit + 1, Malformed)):
        with Wire([picture(PNG[:30] + b"\0" * (size - len(PNG)) + PNG[30:])]) as wire, ExitStack() as stack:
            if error:
                stack.enter_context(pytest.raises(error))
            assert len(look(wire).body) == size


@pytest.mark.parametrize("status", ["302 Found", "307 X", "404 Not Found", "403 X", "500 X", "204 X", "206 X"])
def test_any_other_answer_is_no_picture(status):
    with Wire([picture(PNG, "image/png", status, "Location: /preview/b.png")]) as wire:
        with pytest.raises(Unavailable):
            look(wire)
        assert len(wire.received) == 1


@pytest.mark.parametrize("url", ["", "https://evil.tld/a.png", "http://127.0.0.1:9/a.png", "file:///etc/passwd"])
def test_a_picture_elsewhere_is_not_fetched(url, api, simulator):
    with pytest.raises(BadRequest) as caught:
        api.preview(Secret(url))
    assert "evil" not in shown(caught.value)
    assert simulator.ledger.requests == ()


def test_a_joined_client_s_picture_is_fetched_without_the_key(api, simulator, row):
    assert call(api, "preview", row).content_type == "image/png"
    assert simulator.ledger.count("key_leaked") == 0


# What is configured.


@pytest.mark.parametrize(
    "path",
    [
        "agents/connect",
        "/agents/connect",
        "Agents/connect",
        "AGENTS/connect/",
        " agents/connect",
        "agents",
        "v1/agents/x",
        "support/../agents/connect",
        "./agents/connect",
        "support/./x",
        "%61gents/connect",
        "a%67ents/connect",
        "agents%2fconnect",
        "agents//connect",
        "support//connect",
        "//evil.tld/x",
        "https://evil.tld/x",
        "\\agents\\connect",
        "agents\\connect",
        "agents;a=b/connect",
        "agents./connect",
        "agents\t/connect",
        "agents\n/connect",
        "agents /connect",
        "support/connect?x=",
        "support/connect#",
        "ａgents/connect",
        "agents\u200b/connect",
        "support/connect\r\nX: y",
        "@evil",
        "a:b",
        "support/connect\x00",
        "support/%2e%2e/agents/connect",
        "..",
        ".",
        "support/connect/..",
        "\u017fupport/connect",
    ],
)
def test_a_connect_path_that_is_not_plain_or_opens_devices_is_refused(path, make):
    with pytest.raises(ValueError, match=r"plain|agents"):
        validate_connect_path(path)
    with pytest.raises(ValueError, match=r"plain|agents"):
        make(connect_path=path)


@pytest.mark.parametrize(
    ("path", "plain"), [("", ""), ("/", ""), (" /support/connect/ ", "support/connect"), ("a-b/c_2", "a-b/c_2")]
)
def test_a_plain_path_is_taken(path, plain):
    assert validate_connect_path(path) == plain
    assert validate_update_path(path) == plain


def test_a_fixed_connect_path_is_called(make, simulator, row):
    with pytest.raises(NotFound):
        make(connect_path="/support/open").connect(row)
    assert paths(simulator) == ["support/open"]
    make(connect_path="").connect(row)
    assert paths(simulator)[-1] == "support/connect"


@pytest.mark.parametrize(
    "path", ["agents/connect", "Agents/update", "agents/update/x", "agents//update", "%61gents/update", "x?y"]
)
def test_only_the_printed_update_path_may_be_under_agents(path, make):
    assert validate_update_path("/agents/update") == "agents/update"
    with pytest.raises(ValueError, match=r"plain|agents"):
        make(update_path=path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "api.getscreen.me/v1",
        "http://api.getscreen.me/v1",
        "http://localhost.evil.tld",
        "http://127.1/v1",
        "//x/v1",
        "https://",
        "https:///v1",
        "https://x:99999/v1",
        "https://x:0/v1",
        "https://x:y/v1",
        "https://[::1/v1",
        "ftp://x/v1",
        "https://kim@x/v1",
        "https://kim:pw@x/v1",
        "https://@x/v1",
        "https://x/v1?",
        "https://x/v1?a=b",
        "https://x/v1#",
        "https://x/v1 ",
        " https://x/v1",
        "https://x/v1\n",
        "https://x\t/v1",
        "https://x\\@y/v1",
        "https://x/%2e%2e/v1",
        "file:///x",
        "https://x/v1/../agents",
        "https://x/agents",
        "https://x/Agents/",
        "https://x//v1",
        "https://éx/v1",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_is_not_plain_or_not_encrypted_is_refused(url, make):
    with pytest.raises(ValueError, match=r"must be|is not|agents"):
        validate_base_url(url)
    with pytest.raises(ValueError, match=r"must be|is not|agents"):
        make(base_url=url)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://api.getscreen.me/v1", "https://api.getscreen.me/v1"),
        ("https://api.getscreen.me/v1///", "https://api.getscreen.me/v1"),
        ("https://box.example:8443", "https://box.example:8443"),
        ("https://10.0.0.5/v1/", "https://10.0.0.5/v1"),
        ("https://[fd00::1]:8443/v1", "https://[fd00::1]:8443/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://localhost/v1", "http://localhost/v1"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1"),
    ],
)
def test_a_plain_address_is_taken(url, plain):
    assert validate_base_url(url) == plain


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "socks5h://x:1", "ftp://x:1", "file:///x", "://x"])
def test_a_proxy_that_does_not_speak_http_is_refused(url, make):
    with pytest.raises(ValueError, match="http or https"):
        make(proxy_url=url)


@pytest.mark.parametrize("url", ["", "proxy.example:3128", "http://kim:pw@proxy.example:3128", "https://proxy.example"])
def test_a_proxy_that_speaks_http_is_taken(url, make):
    assert validate_proxy_url(url) == url
    make(proxy_url=url)
