"""Each call of the API and its ambiguities."""

from __future__ import annotations

import json

import pytest

from portal.getscreen.errors import (
    GetscreenError,
    Malformed,
    NotFound,
    Refused,
)
from tests.getscreen.calls import paths, real
from tests.getscreen.wire import Wire, answer

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
