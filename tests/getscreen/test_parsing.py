"""What the vendor's bytes become, and that nothing hostile survives or leaks."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.getscreen import parsing
from portal.getscreen.links import AllowedHosts
from portal.getscreen.parsing import MAX_ROWS, MAX_VALUES, Unreadable, read_json
from portal.getscreen.types import Status

HOSTS = AllowedHosts.parse(["getscreen.me"])
NOW = 1_800_000_000.0
TURBO = "https://go.getscreen.me/turbo/not-a-real-token"
ROW = {
    "id": 7,
    "status": 1,
    "create_time": 1_700_000_000,
    "invite_code": "012345678",
    "invite_url": "https://https://go.getscreen.me/invite/012345678",
    "connect_url": TURBO,
    "client_name": "Zoë",
    "client_os": "mac",
    "client_preview_url": "https://go.getscreen.me/preview/not-a-real-picture.png",
}
ODD = [None, True, False, -1, 1.5, 10**15, "", "x", "-1", "1e3", "１", [], [1], {}, {"a": 1}]


def row(**changes):
    return parsing.invitation(ROW | changes, allowed=HOSTS, now=NOW)


def listing(answer):
    return parsing.listing(answer, allowed=HOSTS, now=NOW, served_at=None)


# Bytes.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[",
        b"nul",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1] x",
        b"<!doctype html>",
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"[1." + b"0" * 600 + b"]",
        b"[9007199254740993]",
        b"[-9007199254740993]",
        b"[" + b"9" * 5_000 + b"]",
        b"\xef\xbb\xbf[]",
        "[]".encode("utf-16"),
        "[]".encode("utf-16-be"),
        "[]".encode("utf-32"),
        b'["\xff\xfe"]',
        b'["\xed\xa0\x80"]',
        rb'["\ud800"]',
        rb'{"\udfff": 1}',
        b'["\x00"]',
        b"[" * 13 + b"]" * 13,
        b'{"a":' * 13 + b"1" + b"}" * 13,
        b"[" * 100_000 + b"]" * 100_000,
        b"]",
        b"[}",
        b'{"a": "',
        b'{"a": "\\',
        b'"\\u00',
    ],
)
def test_what_is_not_strict_json_is_refused(body):
    with pytest.raises(Unreadable) as caught:
        read_json(body)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[]", []),
        (b' {"a": [1, 2.5, -3, "x", null, true]} ', {"a": [1, 2.5, -3, "x", None, True]}),
        (b'["[[[[[[[[[[[[[[[[{{{{{{{{{{{{"]', ["[" * 16 + "{" * 12]),
        (rb'["\"[[[[[[[[[[[[[[[[[[\\"]', ['"' + "[" * 18 + "\\"]),
        (b"[" * 12 + b"]" * 12, [[[[[[[[[[[[]]]]]]]]]]]]),
        (rb'["\ud83d\ude00"]', ["😀"]),
        (b"[9007199254740992]", [2**53]),
        (b"7", 7),
    ],
)
def test_strict_json_is_read(body, value):
    assert read_json(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000_000,
        b"]" * 10_000_000,
        b"[]" * 4_000_000,
        b'"' + b'\\"' * 4_000_000,
        b'"' + b'\\"' * 4_000_000 + b"\\",
        b'"' + b"[" * 8_000_000,
        b'"a' * 2_000_000 + b'"',
        b"[" + b"[]," * 2_700_000 + b"[]]",
        b"[" + b"1," * 4_000_000 + b"1]",
        b"1" * 8_000_000,
        b"1." + b"1" * 8_000_000,
    ],
    ids=range(11),
)
def test_eight_megabytes_of_malice_are_refused_in_no_time(body):
    started = time.monotonic()
    with pytest.raises(Unreadable):
        read_json(body)
    assert time.monotonic() - started < 5


def test_a_long_list_has_few_enough_values():
    assert len(ROW) * MAX_ROWS < MAX_VALUES
    rows = [ROW | {"id": number} for number in range(1, MAX_ROWS + 1)]
    assert len(listing(read_json(json.dumps(rows).encode())).invitations) == MAX_ROWS


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*ROW, "data", "remain", "url", "client", "video", "total", "extra"])


@settings(deadline=None)
@given(JSON)
def test_all_other_json_is_read_as_it_was_written(value):
    try:
        assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value
    except Unreadable as refusal:
        assert "deep" in str(refusal)  # noqa: PT017


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused_and_nothing_else(body):
    with contextlib.suppress(Unreadable):
        read_json(body)


@settings(deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=8))
def test_any_shape_is_understood_or_refused_and_nothing_else(fields):
    for answer in (fields, {"data": fields}, {"data": [fields, ROW | fields]}, [ROW | fields]):
        for read in (
            listing,
            lambda answer: parsing.invitation(parsing.data_of(answer), allowed=HOSTS, now=NOW),
            lambda answer: parsing.connect_link(answer, allowed=HOSTS),
            lambda answer: parsing.history(answer, now=NOW),
            parsing.update_status,
        ):
            try:
                read(answer)
            except Unreadable as refusal:
                assert len(str(refusal)) < 60  # noqa: PT017  # our own words


# Invitations.


def test_an_invitation_is_renamed_checked_and_without_its_bearer_link():
    found = row()
    assert (found.id, found.status, found.raw_status, found.created_at) == (7, Status.JOINED, "1", 1_700_000_000)
    assert (found.code, found.client_name, found.client_os) == ("012345678", "Zoë", "mac")
    assert found.invite_url == "https://go.getscreen.me/invite/012345678"
    assert found.preview_url.reveal() == ROW["client_preview_url"]
    assert "turbo" not in repr(found)
    assert not any("turbo" in str(getattr(found, name)) for name in found.__slots__)
    assert "not-a-real-picture" not in repr(found)


def test_missing_fields_have_defaults():
    found = parsing.invitation({"id": 7}, allowed=HOSTS, now=NOW)
    assert (found.status, found.raw_status, found.created_at) == (Status.UNKNOWN, "none", None)
    assert (found.code, found.invite_url, found.client_name, found.client_os) == ("", "", "", "")
    assert not found.preview_url


@pytest.mark.parametrize("id", [None, True, False, 0, -1, 1.5, "", "x", "0", "-1", "1.0", "１", "9" * 17, [], {}])
def test_a_row_without_a_usable_id_is_none(id):
    with pytest.raises(Unreadable):
        row(id=id)
    good = listing({"data": [ROW, ROW | {"id": id}, {}, None, "x", 7, []]})
    assert [one.id for one in good.invitations] == [7]
    assert good.dropped == 6


@pytest.mark.parametrize(("id", "number"), [(1, 1), ("20177", 20177), (2**53, 2**53), (5.0, 5)])
def test_a_whole_number_is_an_id_however_it_is_written(id, number):
    assert row(id=id).id == number


@pytest.mark.parametrize("field", [name for name in ROW if name != "id"])
def test_a_wrong_type_never_costs_the_row(field):
    assert {row(**{field: value}).id for value in ODD} == {7}


@pytest.mark.parametrize(
    ("value", "status", "raw"),
    [
        (0, Status.WAITING, "0"),
        ("3", Status.CLOSED, "3"),
        (2.0, Status.ACTIVE, "2.0"),
        (7, Status.UNKNOWN, "7"),
        (-1, Status.UNKNOWN, "-1"),
        (True, Status.UNKNOWN, "not a number"),
        (None, Status.UNKNOWN, "none"),
        (TURBO, Status.UNKNOWN, "not a number"),
        ({"connect_url": TURBO}, Status.UNKNOWN, "not a number"),
    ],
)
def test_an_unknown_status_is_kept_as_unknown_if_it_is_a_number(value, status, raw):
    assert (row(status=value).status, row(status=value).raw_status) == (status, raw)


@pytest.mark.parametrize(
    ("value", "os"), [("win", "win"), ("", ""), (None, ""), ("beos", "unknown"), ("WIN", "unknown")]
)
def test_an_unknown_system_is_unknown(value, os):
    assert row(client_os=value).client_os == os


@pytest.mark.parametrize("value", [0, -1, 1_420_070_399, NOW + 86_401, 2**53, 1.5, "today", None, True])
def test_an_absurd_time_is_no_time(value):
    assert row(create_time=value).created_at is None


@pytest.mark.parametrize(("value", "code"), [("007", "007"), (7, "7"), (True, ""), (None, ""), (1.5, ""), (["7"], "")])
def test_a_code_is_a_text(value, code):
    assert row(invite_code=value).code == code


@pytest.mark.parametrize("field", ["invite_url", "client_preview_url"])
def test_a_link_that_is_not_trusted_is_left_out(field):
    found = row(**{field: "https://getscreen.me.evil.tld/x"})
    assert "evil" not in found.invite_url + found.preview_url.reveal()


def test_names_are_composed_short_and_without_characters_that_deceive():
    assert row(client_name="Zoe\u0308").client_name == "Zoë"
    assert row(client_name="a\x00\x1b[31m\r\n\x85\u202eb\u2066\ufeff\u200f\u2028\u2029\ud800c").client_name == "a[31mbc"
    assert len(row(client_name="ä" * 10_000).client_name) == 512
    assert row(client_name="👩‍👩‍👧 & <b>").client_name == "👩‍👩‍👧 & <b>"


# Lists.


@pytest.mark.parametrize("answer", [None, 7, "x", {}, {"data": None}, {"data": {}}, {"data": "x"}, {"error": 1}, True])
def test_what_holds_no_list_is_refused(answer):
    with pytest.raises(Unreadable):
        listing(answer)


def test_a_bare_list_is_good_and_says_nothing_about_the_plan():
    good = listing([ROW])
    assert [one.id for one in good.invitations] == [7]
    assert good.remaining is None


def test_a_list_has_at_most_twenty_thousand_rows():
    assert listing([None] * MAX_ROWS).dropped == MAX_ROWS
    with pytest.raises(Unreadable):
        listing([None] * (MAX_ROWS + 1))


def test_a_row_that_comes_twice_counts_once_and_is_not_called_broken():
    good = listing([ROW, ROW | {"client_name": "later"}])
    assert [one.client_name for one in good.invitations] == ["later"]
    assert good.dropped == 0


@pytest.mark.parametrize("remain", [None, "", "plenty", -1, 1.5, 5.0, True, False, [], {}, 2**60, "-1"])
def test_an_odd_remain_is_unknown_and_never_nothing(remain):
    assert listing({"remain": remain, "data": []}).remaining is None


@pytest.mark.parametrize(("remain", "remaining"), [(0, 0), (12, 12), ("12", 12)])
def test_a_good_remain_is_a_number(remain, remaining):
    assert listing({"remain": remain, "data": []}).remaining == remaining
    assert listing({"data": []}).remaining is None


# The other answers.


def test_a_connect_link_shows_its_host_and_nothing_else():
    link = parsing.connect_link(
        {"data": {"url": "https://https://go.getscreen.me/?connect=7&amp;llt=x"}}, allowed=HOSTS
    )
    assert link.reveal() == "https://go.getscreen.me/?connect=7&llt=x"
    assert link.host == "go.getscreen.me"
    assert "llt" not in f"{link} {link!r} {link.url}"


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"data": None}, {"data": []}, {"data": TURBO}, {"data": {}}]
    + [{"data": {"url": url}} for url in (None, "", 7, "javascript:alert(1)", "https://evil.tld/")],
)
def test_a_connect_link_we_do_not_trust_is_refused_without_a_word_of_it(answer):
    with pytest.raises(Unreadable) as caught:
        parsing.connect_link(answer, allowed=HOSTS)
    assert "evil" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [({"status": 0}, 0), ({"status": "0"}, 0), ({"status": 4}, 4), ({"status": False}, None), ({}, None), ([], None)],
)
def test_the_result_of_an_update_is_a_number_or_unknown(answer, status):
    assert parsing.update_status(answer) == status


SESSION = {
    "id": 5,
    "start": 1_700_000_000,
    "stop": 1_700_000_600,
    "support_id": 7,
    "client": [{"login": "kim@example.org", "user_agent": "Firefox", "geo": {"country": "X"}}],
    "agent": None,
    "video": {"url": "https://go.getscreen.me/video", "size": 1},
}


def test_a_session_has_operators_and_times():
    (found,) = parsing.history({"total": 41, "offset": 40, "data": [SESSION]}, now=NOW).sessions
    assert (found.id, found.invitation_id) == (5, 7)
    assert (found.started_at, found.stopped_at) == (1_700_000_000, 1_700_000_600)
    assert [(one.login, one.user_agent) for one in found.operators] == [("kim@example.org", "Firefox")]
    assert found.has_recording


@pytest.mark.parametrize("field", [name for name in SESSION if name != "id"])
def test_a_wrong_type_never_costs_the_session(field):
    for value in ODD:
        found = parsing.history({"data": [SESSION | {field: value}, SESSION | {"id": value}, value]}, now=NOW)
        assert found.sessions[0].id == 5
        assert (found.total, found.offset) == (0, 0)


def test_what_may_be_missing_in_a_session_is_none():
    (found,) = parsing.history({"data": [{"id": 5, "client": [None, {}]}]}, now=NOW).sessions
    assert (found.invitation_id, found.started_at, found.stopped_at, found.has_recording) == (None, None, None, False)
    assert [(one.login, one.user_agent) for one in found.operators] == [("", "")]


@pytest.mark.parametrize("answer", [None, [], [SESSION], {}, {"data": None}, {"data": {}}, {"data": [1] * 20_001}])
def test_what_holds_no_history_is_refused(answer):
    with pytest.raises(Unreadable):
        parsing.history(answer, now=NOW)
