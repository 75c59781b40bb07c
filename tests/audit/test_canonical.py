"""The form in which events are hashed, frozen: what is computed here must be computed so for ever."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.audit.canonical import GENESIS, LARGEST, canonical, commitment, hash_of, leaf, node, plain, storable
from tests import chain

EVENT = {
    "v": 1,
    "seq": 1,
    "ts": 1_785_000_000_000_000,
    "kind": "signin.ok",
    "phase": "single",
    "result": "ok",
    "reference": "",
    "actor": {"id": "user:5", "name": "Mika Lind", "roles": ["Agent"], "method": "password", "session": ""},
    "origin": {"network": "203.0.113.0/24", "proxied": False, "agent": ""},
    "target": "",
    "facts": {},
    "up": {},
    "sys": {"release": "1.0", "node": "desk", "pid": 42, "program": "serve"},
    "details": "",
    "prev": GENESIS,
}
# Values as somebody gave them, with the text and the hash that version 1 of the form has for them. A line that
# must be changed is a new version, and the old lines stay for the events of the old one.
FROZEN: dict[str, tuple[Any, str, str]] = {
    "an event": (
        EVENT,
        (
            '{"actor":{"id":"user:5","method":"password","name":"Mika Lind","roles":["Agent"],"session":""},'
            '"details":"","facts":{},"kind":"signin.ok","origin":{"agent":"","network":"203.0.113.0/24","proxied":false},'
            '"phase":"single","prev":"0000000000000000000000000000000000000000000000000000000000000000","reference":"",'
            '"result":"ok","seq":1,"sys":{"node":"desk","pid":42,"program":"serve","release":"1.0"},"target":"",'
            '"ts":1785000000000000,"up":{},"v":1}'
        ),
        "cc9c30cf747d82ab3fd460d4458f1869c62ec0f9048b9d63000030af2301b568",
    ),
    "nothing": (
        {},
        "{}",
        "2439e4f3f03fa0d06a8e0ce4a5460cc5acc1124cb77576a5cfb07c24b69030f2",
    ),
    "empty values": (
        {"facts": {}, "up": [], "why": None, "ok": True, "no": False, "": ""},
        '{"":"","facts":{},"no":false,"ok":true,"up":[],"why":null}',
        "ed1f56ee4ecf9f57c6fa3cba8ed8927a8d4267b56fadb388d99673c76056ab42",
    ),
    "an accent of its own": (
        {"name": "e\u0301"},
        '{"name":"\xe9"}',
        "d07b4b5c023e1e7c012772f316f240a2ca21ab025657f716ae3784471a79c398",
    ),
    "accents in names and below": (
        {"e\u0301": {"A\u030a": ["o\u0302\u0323"]}},
        '{"\xe9":{"\xc5":["\u1ed9"]}}',
        "541cf2003399733a4d28dec3a949dbc3142531189164082c3a76b8ff33e3a9c8",
    ),
    "what composes to others": (
        {"hindi": "\u0958", "angstrom": "\u212b", "ohm": "\u2126", "ligature": "\ufb01"},
        '{"angstrom":"\xc5","hindi":"\u0915\u093c","ligature":"\ufb01","ohm":"\u03a9"}',
        "8df9d4a17a85925d64f7080657ee776f0f0ef9928f7bbffc50d1c8c28713b4b7",
    ),
    "NUL": (
        {"typed": "a\x00b"},
        '{"typed":"a\ufffdb"}',
        "96b0dbb548fc5eefc5c14b05c22e29d142a41f6cb6b056a9fc84a6e621bd1a87",
    ),
    "lone surrogates": (
        {"typed": "\ud800 and \udfff"},
        '{"typed":"? and ?"}',
        "d90298c1967c60e10800610325512dc3881e73bdf96a901ed21e17dee0148640",
    ),
    "emoji": (
        {"client": "\U0001f6df\ufe0f \U0001f468\u200d\U0001f469"},
        '{"client":"\U0001f6df\ufe0f \U0001f468\u200d\U0001f469"}',
        "215ab45565f183f156d0e486ec03f0d1fbec6e443a7dc89e3919716fe76dddbe",
    ),
    "from right to left": (
        {"client": "\u202e\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645\u202c"},
        '{"client":"\u202e\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645\u202c"}',
        "4b23e1c57d6c43d92a5e2a52a2c3f588a0c18949112f88a45d5e218e8590e62e",
    ),
    "numbers around 2**53": (
        {"most": 2**53, "least": -(2**53), "more": 2**53 + 1, "less": -(2**53) - 1, "zero": 0},
        '{"least":-9007199254740992,"less":"-9007199254740993","more":"9007199254740993","most":9007199254740992,"zero":0}',
        "302e545d1c8c25adb55ef6ec8e490ed906064cdba6828b6ffc9053dc7bddd033",
    ),
    "nested": (
        {"b": [{"z": 1, "a": [[], {}, [None]]}], "a": {"b": {"c": {"d": "e"}}}, "Z": (1, 2)},
        '{"Z":[1,2],"a":{"b":{"c":{"d":"e"}}},"b":[{"a":[[],{},[null]],"z":1}]}',
        "012b760160c5424cd713908114f4f922df1f53d1bbe6d255943af7ded9ccbe9e",
    ),
    "quoted": (
        {"quoted": '"\\/\b\f\n\r\t\x1f\x7f<&>\u2028'},
        '{"quoted":"\\"\\\\/\\b\\f\\n\\r\\t\\u001f\x7f<&>\u2028"}',
        "4d96d3f7ae4e2e440fc8c8aeb5784fc69241baa1110f151c261ead5bf7f225ce",
    ),
    "the order of names": (
        {"\uffff": 1, "\U00010000": 2, "a": 3, "B": 4, "10": 5, "9": 6},
        '{"10":5,"9":6,"B":4,"a":3,"\uffff":1,"\U00010000":2}',
        "9c1973fccb2e7cf9c8a7913f2f1bcc75d4ad00b0664a1e634c6836479390c338",
    ),
}


@pytest.mark.parametrize(("typed", "text", "digest"), FROZEN.values(), ids=FROZEN)
def test_the_form_is_frozen(typed, text, digest):
    assert canonical(plain(typed)) == text
    assert hash_of(text) == chain.digest("portal-audit-v1", text) == digest


def test_what_details_are_told_apart_by_is_frozen():
    committed = "173b2bda1ce1479b2dd386acdd8ccebcf500374954316432f8bb3935e731c40c"
    assert commitment("0" * 32, '{"ip":"203.0.113.7"}') == committed
    assert chain.commitment(("0" * 32, '{"ip":"203.0.113.7"}')) == committed


texts = st.text(st.characters(codec=None))
leaves = st.none() | st.booleans() | st.integers() | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@given(values)
@example({"e\u0301": 1, "\u00e9": 2})
@example([LARGEST, LARGEST + 1, -LARGEST, -LARGEST - 1, True])
def test_what_is_read_back_has_the_same_form(value):
    text = canonical(plain(value))
    again = json.loads(text)
    assert canonical(again) == text
    assert plain(again) == again
    assert hash_of(text) == chain.digest("portal-audit-v1", text)


@given(values)
def test_the_form_is_nfc_and_can_be_stored(value):
    text = canonical(plain(value))
    assert unicodedata.is_normalized("NFC", text)
    assert text.encode("utf-8")
    assert "\x00" not in text
    assert "\\u0000" not in text


@given(st.dictionaries(texts, st.integers() | texts))
def test_the_order_of_keys_does_not_matter(value):
    names = [storable(name) for name in value]
    if len(set(names)) == len(names):
        assert canonical(plain(dict(reversed(value.items())))) == canonical(plain(value))


@given(texts)
def test_a_text_cleaned_twice_is_as_cleaned_once(text):
    assert storable(storable(text)) == storable(text)


@given(st.floats(), st.sampled_from([lambda x: x, lambda x: [x], lambda x: {"a": [{"b": x}]}, lambda x: (1, (x,))]))
def test_floating_point_numbers_are_refused(number, put):
    with pytest.raises(TypeError, match="float"):
        plain(put(number))


@pytest.mark.parametrize("value", [b"bytes", {1}, object(), datetime.now(UTC), Decimal(1), 1j], ids=repr)
def test_what_is_no_json_is_refused(value):
    with pytest.raises(TypeError):
        plain({"a": [value]})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_no_json_reader_knows_is_never_written(number):
    with pytest.raises(ValueError, match="JSON"):
        canonical(number)


def test_records_details_leaves_and_nodes_are_never_taken_for_each_other():
    text = "0" * 64
    assert len({hash_of(text), commitment("", text), leaf(text).hex(), node(b"", b"").hex()}) == 4
    assert hash_of("0\n" + text) != commitment("0", text)
