"""The program in every export, attacked: whatever was changed is found, whatever is handed to it is survived."""

from __future__ import annotations

import ast
import json
import random
import struct
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import audit
from portal.audit import checkpoints, keys, purging, rotation, verify_export
from portal.audit.canonical import GENESIS, canonical, hash_of
from portal.audit.checkpoints import Statement
from portal.audit.keys import SigningKey
from portal.audit.merkle import Tree
from portal.audit.models import Checkpoint, Event
from portal.audit.selection import select
from tests.audit.exports import VERIFIER, Parts, verify

INTACT, TAMPERED, INCOMPLETE, CANNOT = 0, 1, 2, 3


@pytest.fixture
def log(agent):
    """A log of 300 events, some with personal details: more than a block."""
    for number in range(300):
        with_details = {"target_label": f"Tilda {number}", "details": {"ticket": f"HD-{number}"}} if number % 3 else {}
        kind, result = ("signout", "ok") if number % 10 else ("signin.failed", "denied")
        audit.record(kind, result=result, actor=agent, target_type="invitation", target_id=f"i{number}", **with_details)


@pytest.fixture
def anchors(tmp_path, log):
    """Checkpoints kept elsewhere."""
    checkpoints.make()
    file = tmp_path / "checkpoints.txt"
    file.write_text("".join(f"{note}\n" for note in Checkpoint.objects.values_list("note", flat=True)), "utf-8")
    return file


@pytest.fixture
def whole(log) -> Parts:
    return Parts.exported()


@pytest.fixture
def chosen(log) -> Parts:
    return Parts.exported(select({"kind": "signin.failed"}))


@pytest.fixture
def judge(tmp_path):
    """Return what the program says of an export, given the key that the portal has."""

    def judge(parts, *arguments, trusting=True):
        key = ("--key", keys.current().public.verifier) if trusting else ()
        return verify(parts.save(tmp_path / "export.zip"), *key, *arguments)

    return judge


def test_the_whole_log_is_intact(anchors, whole, judge):
    verdict = judge(whole, "--anchors", str(anchors))
    assert (verdict.code, verdict.said.splitlines()[-1]) == (INTACT, "INTACT")
    assert f"{Event.objects.count()} events" in verdict.said
    assert "without a gap" in verdict.said


def test_chosen_events_are_intact(log, judge, tmp_path):
    chosen = Parts.exported(select({"kind": "signin.failed"}))
    kept = tmp_path / "kept.txt"
    kept.write_bytes(chosen["checkpoint.txt"])
    verdict = judge(chosen, "--anchors", str(kept))
    assert verdict.code == INTACT
    assert "30 events" in verdict.said
    assert "it cannot show" in verdict.said


def test_the_folder_it_was_unpacked_to_does_as_well(anchors, whole, tmp_path):
    folder = whole.unpack(tmp_path / "unpacked")
    key = keys.current().public.hex
    assert verify(folder, "--key", key, "--anchors", str(anchors)).code == INTACT


def test_without_details_it_is_intact_and_says_so(anchors, judge):
    verdict = judge(Parts.exported(with_details=False), "--anchors", str(anchors))
    assert verdict.code == INTACT
    assert "200 that were left out or erased" in verdict.said


def test_without_a_key_or_anything_outside_it_is_incomplete(whole, judge):
    verdict = judge(whole, trusting=False)
    assert verdict.code == INCOMPLETE
    assert "came with the export" in verdict.said
    assert "outside" in verdict.said
    assert judge(whole).code == INCOMPLETE


def test_lines_of_a_log_host_are_anchors_too(whole, judge, tmp_path):
    event = Event.objects.get(seq=200)
    line = {"log": "audit", "seq": 200, "hash": event.hash, "time": event.at.isoformat()}
    file = tmp_path / "lines.txt"
    for before in ("", "web-1  | ", "\x1b[2K", "2026-11-26T08:09:52.6Z ", "Nov 26 08:09:52 help python[17]: "):
        file.write_text(f"something else\n{before}{json.dumps(line)}\n")
        assert judge(whole, "--anchors", str(file)).code == INTACT, before
    file.write_text(json.dumps(line | {"hash": "0" * 64}) + "\n")
    assert judge(whole, "--anchors", str(file)).code == TAMPERED


def test_what_a_purge_left_is_intact(log, judge, tmp_path):
    purging.purge(256, reason="age")
    parts = Parts.exported()
    assert parts.events[0]["record"]["seq"] == 257
    file = tmp_path / "kept.txt"
    file.write_bytes(parts["checkpoint.txt"])
    assert judge(parts, "--anchors", str(file)).code == INTACT
    for name, content in {
        "blocks.txt": b"",
        "watermark.txt": b"",
        "blocks.txt ": parts["blocks.txt"].translate(bytes.maketrans(b"01234567", b"12345670")),
        "watermark.txt ": parts["checkpoint.txt"],
    }.items():
        assert judge(Parts(parts | {name.strip(): content})).code == TAMPERED, name


def test_a_purge_that_never_was_is_found(whole, judge, anchors):
    """Somebody hides the first block as if it had been removed for its age."""
    tree, events = Tree(), whole.events
    roots = [root for event in events if (root := tree.add(event["hash"]))]
    whole.events = events[256:]
    for origin, key, says in (
        ("getscreen-portal/audit/x", keys.current(), "does not fit"),  # a checkpoint's note in its place
        ("getscreen-portal/audit/x/purge", SigningKey.new(), "a key that nobody knows"),
        ("getscreen-portal/audit/x/purge", keys.current(), "no event says"),
    ):
        said = Statement(origin, 256, roots[0], events[255]["hash"], 1)
        whole |= {"watermark.txt": key.note(said.text()).encode(), "blocks.txt": roots[0].hex().encode()}
        verdict = judge(whole.without_table(), "--anchors", str(anchors))
        assert verdict.code == TAMPERED
        assert says in verdict.said


def test_a_copy_of_one_chosen_event_does_not_vouch_for_the_others(chosen, judge, tmp_path):
    event = chosen.events[3]
    line = {"log": "audit", "seq": event["record"]["seq"], "hash": event["hash"]}
    file = tmp_path / "lines.txt"
    file.write_text(json.dumps(line) + "\n")
    assert judge(chosen, "--anchors", str(file)).code == INCOMPLETE
    file.write_text(json.dumps(line | {"hash": "0" * 64}) + "\n")
    assert judge(chosen, "--anchors", str(file)).code == TAMPERED


def test_copies_that_are_newer_than_the_export_say_nothing_against_it(whole, judge, tmp_path):
    for _ in range(3):
        audit.record("signout")
    newer = Event.objects.order_by("seq").last()
    file = tmp_path / "lines.txt"
    line = {"log": "audit", "seq": newer.seq, "hash": newer.hash}
    for time in (newer.at.isoformat(), "2999-01-01T00:00:00+00:00"):
        file.write_text(json.dumps(line | {"time": time}) + "\n")
        assert judge(whole, "--anchors", str(file)).code == INCOMPLETE
    file.write_text(json.dumps(line | {"time": "2001-01-01T00:00:00+00:00"}) + "\n")
    assert judge(whole, "--anchors", str(file)).code == TAMPERED


def test_chosen_events_after_a_purge_are_proven(log, judge):
    purging.purge(256, reason="age")
    parts = Parts.exported(select({"kind": "signin.failed"}))
    assert [event["record"]["seq"] for event in parts.events][:1] == [261]
    assert judge(parts).code == INCOMPLETE


def test_erased_details_are_no_damage(log, judge):
    purging.erase([2, 3, 5], reason="asked for")
    verdict = judge(Parts.exported())
    assert verdict.code == INCOMPLETE
    assert "but for 3 that were left out or erased" in verdict.said


def test_after_a_change_of_keys_the_newest_one_counts(log, judge):
    old = keys.current().public.verifier
    rotation.rotate()
    whole = Parts.exported()
    assert judge(whole).code == INCOMPLETE
    assert judge(whole, trusting=False).code == INCOMPLETE
    assert judge(whole, "--key", old, trusting=False).code == TAMPERED


# Attacks ---------------------------------------------------------------------------------------------------------


def edit_a_record(parts):
    parts.change(100, lambda event: event["record"].update(result="unknown"))


def edit_a_record_and_its_hash(parts):
    parts.change(100, lambda event: event["record"].update(result="unknown"))
    parts.change(100, lambda event: event.update(hash=hash_of(canonical(event["record"]))))


def edit_and_chain_the_rest_anew(parts):
    events = parts.events
    events[100]["record"]["result"] = "unknown"
    prev = events[99]["hash"]
    for event in events[100:]:
        event["record"]["prev"] = prev
        prev = event["hash"] = hash_of(canonical(event["record"]))
    parts.events = events


def leave_one_out(parts):
    parts.events = parts.events[:100] + parts.events[101:]


def leave_the_middle_out(parts):
    parts.events = parts.events[:50] + parts.events[250:]


def leave_the_first_out(parts):
    parts.events = parts.events[1:]


def leave_the_last_out(parts):
    parts.events = parts.events[:-1]


def swap_two(parts):
    events = parts.events
    events[100], events[101] = events[101], events[100]
    parts.events = events


def say_one_twice(parts):
    parts.events = [*parts.events[:100], parts.events[99], *parts.events[100:]]


def add_a_line(parts):
    last = parts.events[-1]
    said = last["record"] | {"seq": last["record"]["seq"] + 1, "prev": last["hash"], "details": ""}
    parts.events = [*parts.events, {"hash": hash_of(canonical(said)), "record": said}]


def edit_details(parts):
    parts.change(100, lambda event: event["details"].update(ticket="HD-1"))


def edit_the_salt(parts):
    parts.change(100, lambda event: event.update(salt="0" * 32))


def exchange_details(parts):
    events = parts.events
    for name in ("details", "salt"):
        events[100][name], events[101][name] = events[101][name], events[100][name]
    parts.events = events


def invent_details(parts):
    parts.change(99, lambda event: event.update(details={"ticket": "HD-1"}, salt="0" * 32))


def details_without_a_salt(parts):
    parts.change(100, lambda event: event.pop("salt"))


def add_a_field(parts):
    parts.change(100, lambda event: event["record"].update(more=1))


def write_it_in_another_way(parts):
    parts["events.jsonl"] = parts["events.jsonl"].replace(b'"seq":101,', b'"seq": 101,')


def say_a_name_twice(parts):
    parts["events.jsonl"] = parts["events.jsonl"].replace(b'"result":"ok"', b'"result":"denied","result":"ok"', 1)


def give_a_proof_to_one(parts):
    parts.change(100, lambda event: event.update(proof=[]))


def give_a_proof_to_the_first(parts):
    parts.change(0, lambda event: event.update(proof=[]))


def cut_a_line_off(parts):
    parts["events.jsonl"] = parts["events.jsonl"][:-10]


def add_an_empty_line(parts):
    parts["events.jsonl"] += b"\n"


def another_checkpoint(parts):
    parts["checkpoint.txt"] = parts["checkpoints.txt"].split(b"\n\n")[0] + b"\n"


def raise_the_number(parts):
    parts["checkpoint.txt"] = parts["checkpoint.txt"].replace(b"\n301\n", b"\n302\n")


def no_checkpoint(parts):
    parts["checkpoint.txt"] = b""


def numbers_of_another_kind(parts):
    parts.change(100, lambda event: event["record"].update(seq="101"))


def numbers_that_are_true(parts):
    parts.change(0, lambda event: event["record"].update(seq=True))


def huge_numbers(parts):
    parts["events.jsonl"] = parts["events.jsonl"].replace(b'"seq":101,', b'"seq":' + b"9" * 100_000 + b",")


def deep_nesting(parts):
    parts["events.jsonl"] += b"[" * 100_000 + b"]" * 100_000 + b"\n"


def not_json(parts):
    parts["events.jsonl"] += b"\xff\xfe{}\n"


ON_THE_WHOLE = [
    edit_a_record, edit_a_record_and_its_hash, edit_and_chain_the_rest_anew, leave_one_out, leave_the_middle_out,
    leave_the_first_out, leave_the_last_out, swap_two, say_one_twice, add_a_line, edit_details, edit_the_salt,
    exchange_details, invent_details, details_without_a_salt, add_a_field, write_it_in_another_way, say_a_name_twice,
    give_a_proof_to_one, give_a_proof_to_the_first, cut_a_line_off, add_an_empty_line, another_checkpoint,
    raise_the_number, no_checkpoint, numbers_of_another_kind, numbers_that_are_true, huge_numbers, deep_nesting,
]  # fmt: skip


@pytest.mark.parametrize("attack", ON_THE_WHOLE, ids=lambda attack: attack.__name__)
def test_whatever_is_changed_in_the_whole_log_is_found(whole, judge, attack):
    attack(whole)
    verdict = judge(whole.without_table())
    assert verdict.code == TAMPERED, verdict.said


@pytest.mark.parametrize(
    ("attack", "number"), [(edit_a_record, 101), (swap_two, 102), (leave_one_out, 102), (edit_details, 101)]
)
def test_it_names_the_first_bad_event(whole, judge, attack, number):
    attack(whole)
    assert f"vent {number} " in judge(whole.without_table()).said


def test_what_is_no_text_cannot_be_read(whole, judge):
    not_json(whole)
    assert judge(whole.without_table()).code in (TAMPERED, CANNOT)


def forge_a_proof(parts):
    parts.change(5, lambda event: event["proof"].__setitem__(2, "0" * 64))


def shorten_a_proof(parts):
    parts.change(5, lambda event: event["proof"].pop())


def lengthen_a_proof(parts):
    parts.change(5, lambda event: event["proof"].append("0" * 64))


def take_another_s_proof(parts):
    proof = parts.events[6]["proof"]
    parts.change(5, lambda event: event.update(proof=proof))


def empty_a_proof(parts):
    parts.change(5, lambda event: event.update(proof=[]))


def remove_a_proof(parts):
    parts.change(5, lambda event: event.pop("proof"))


def remove_every_proof(parts):
    events = parts.events
    for event in events:
        del event["proof"]
    parts.events = events


def proof_of_no_digits(parts):
    parts.change(5, lambda event: event["proof"].__setitem__(0, "zz"))


def proof_of_numbers(parts):
    parts.change(5, lambda event: event.update(proof=[1, 2]))


def renumber(parts):
    def spoil(event):
        event["record"]["seq"] += 1
        event["hash"] = hash_of(canonical(event["record"]))

    parts.change(5, spoil)


def a_node_as_an_event(parts):
    """The oldest trick: an inner node passed off as a leaf."""
    parts.change(5, lambda event: event.update(hash=event["proof"][0]))


def swap_chosen(parts):
    events = parts.events
    events[5], events[6] = events[6], events[5]
    parts.events = events


def repeat_chosen(parts):
    parts.events = [*parts.events[:5], parts.events[4], *parts.events[5:]]


def edit_chosen(parts):
    parts.change(5, lambda event: event["record"].update(result="ok"))
    parts.change(5, lambda event: event.update(hash=hash_of(canonical(event["record"]))))


ON_CHOSEN = [
    forge_a_proof, shorten_a_proof, lengthen_a_proof, take_another_s_proof, empty_a_proof, remove_a_proof,
    remove_every_proof, proof_of_no_digits, proof_of_numbers, renumber, a_node_as_an_event, swap_chosen, repeat_chosen,
    edit_chosen,
]  # fmt: skip


@pytest.mark.parametrize("attack", ON_CHOSEN, ids=lambda attack: attack.__name__)
def test_whatever_is_changed_in_chosen_events_is_found(chosen, judge, attack):
    attack(chosen)
    verdict = judge(chosen.without_table())
    assert verdict.code == TAMPERED, verdict.said


def test_an_emptied_export_is_not_called_intact(whole, chosen, judge, anchors):
    for parts in (whole, chosen):
        parts["events.jsonl"] = b""
        assert judge(parts).code == TAMPERED
        parts["events.csv"] = parts["events.csv"].splitlines(keepends=True)[0]
        assert judge(parts, "--anchors", str(anchors)).code == INCOMPLETE


TABLE = {
    "a name": (b"Mika Lind", b"Joss Imre"),
    "a kind": (b",signout,", b",signin.ok,"),
    "an outcome": (b",denied,", b",ok,"),
    "a ticket": (b",HD-11,", b",HD-12,"),
    "a time": (b"+00:00", b"+01:00"),
    "the header": (b"kind", b"sort"),
    "a hash": (b"a\r\n", b"b\r\n"),
}


@pytest.mark.parametrize("name", TABLE)
def test_whatever_is_changed_in_the_table_is_found(whole, judge, name):
    before, after = TABLE[name]
    assert before in whole["events.csv"]
    whole["events.csv"] = whole["events.csv"].replace(before, after, 1)
    assert judge(whole).code == TAMPERED


def test_rows_more_or_less_in_the_table_are_found(whole, judge):
    lines = whole["events.csv"].splitlines(keepends=True)
    for changed in (lines[:-1], lines[:9] + lines[10:], [*lines, lines[-1]], [*lines, b"x\r\n"], [*lines, b'"x']):
        whole["events.csv"] = b"".join(changed)
        assert judge(whole).code == TAMPERED


def forged(parts: Parts, key: SigningKey, *, minutes: int = 0) -> Parts:
    """The whole log written anew and signed: nothing in it contradicts itself."""
    prev, tree, events = GENESIS, Tree(), parts.events
    for event in events:
        event["record"] |= {"prev": prev, "result": "denied"}
        prev = event["hash"] = hash_of(canonical(event["record"]))
        tree.add(prev)
    old = Statement.read(keys.signer_of(parts["checkpoint.txt"].decode())[0].decode())
    said = Statement(old.origin, len(events), tree.root(), prev, old.ts + minutes * 60_000_000)
    parts.events = events
    named = json.loads(parts["keys.json"])
    return Parts(
        parts
        | {
            "checkpoint.txt": key.note(said.text()).encode(),
            "checkpoints.txt": b"",
            "keys.json": json.dumps([*named, {"public": key.public.hex}]).encode(),
        }
    ).without_table()


def test_a_log_written_anew_with_a_key_of_one_s_own_is_found_by_the_trusted_key(whole, judge):
    false = forged(whole, SigningKey.new())
    assert judge(false, trusting=False).code == INCOMPLETE  # and it says that the key came with it
    assert "not the one you trust" in judge(false).said


def test_a_log_written_anew_with_the_stolen_key_is_found_by_what_is_outside(whole, judge, anchors):
    false = forged(whole, keys.current())
    assert judge(false).code == INCOMPLETE
    assert judge(false, "--anchors", str(anchors)).code == TAMPERED


def test_an_end_cut_off_with_the_stolen_key_is_found_by_what_is_outside(whole, judge, anchors):
    whole.events = whole.events[:200]
    false = forged(whole, keys.current(), minutes=11)
    verdict = judge(false, "--anchors", str(anchors))
    assert verdict.code == TAMPERED
    assert "cut off" in verdict.said


def test_a_signature_of_another_text_is_found(whole, chosen, judge):
    text = whole["checkpoint.txt"].partition(b"\n\n")[0]
    other = SigningKey.new().note("other\n").encode().partition(b"\n\n")[2]
    whole["checkpoint.txt"] = text + b"\n\n" + other
    assert judge(whole).code == TAMPERED


def test_keys_that_nobody_named_are_found(whole, judge):
    whole["keys.json"] = b"[]"
    assert judge(whole, trusting=False).code == TAMPERED


# Hostile files ---------------------------------------------------------------------------------------------------


def test_a_zip_cut_off_anywhere_is_refused(whole, tmp_path):
    content = whole.save(tmp_path / "good.zip").read_bytes()
    for length in [0, 1, 30, *random.sample(range(31, len(content) - 1), 6), len(content) - 1]:
        place = tmp_path / "cut.zip"
        place.write_bytes(content[:length])
        assert verify(place).code == CANNOT


def test_bytes_changed_anywhere_never_pass_and_never_crash(whole, tmp_path):
    content = whole.without_table().save(tmp_path / "good.zip").read_bytes()
    begin = content.index(b"events.jsonl")
    for _ in range(12):
        spoilt = bytearray(content)
        spoilt[random.randrange(begin, begin + 20_000)] ^= 1 << random.randrange(8)
        place = tmp_path / "spoilt.zip"
        place.write_bytes(spoilt)
        assert verify(place).code in (TAMPERED, CANNOT)


def test_a_name_twice_in_the_zip_is_refused(whole, tmp_path):
    place = whole.save(tmp_path / "twice.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(place, "a") as archive:
        archive.writestr("events.jsonl", whole["events.jsonl"])
    assert verify(place).code == CANNOT


@pytest.mark.parametrize("name", ["../events.jsonl", "/etc/passwd", "a/b", "C:\\x", "json.py", "x\x1b[2J", "sub/"])
def test_names_that_do_not_belong_there_are_refused(whole, judge, name):
    whole[name] = b"x"
    verdict = judge(whole)
    assert verdict.code == CANNOT
    assert "\x1b" not in verdict.said


@pytest.mark.parametrize("name", ["events.jsonl", "checkpoint.txt", "keys.json", "events.csv", "blocks.txt"])
def test_a_bomb_is_refused(whole, judge, name):
    whole[name] = bytes(80 << 20)
    assert judge(whole).code == CANNOT


def test_a_bomb_that_lies_about_its_size_is_refused(whole, tmp_path):
    whole["events.jsonl"] = bytes(80 << 20)
    place = whole.save(tmp_path / "bomb.zip")
    content = place.read_bytes().replace(struct.pack("<L", 80 << 20), struct.pack("<L", 1000))
    place.write_bytes(content)
    assert verify(place).code in (TAMPERED, CANNOT)


def test_packing_that_is_not_used_is_refused(whole, tmp_path):
    place = tmp_path / "other.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in whole.items():
            archive.writestr(name, content)
    assert verify(place).code == CANNOT


def test_something_else_is_refused(tmp_path):
    for content in (b"", b"PK", b"not a zip", bytes(1000)):
        place = tmp_path / "file"
        place.write_bytes(content)
        assert verify(place).code == CANNOT
    assert verify(tmp_path / "nowhere").code == CANNOT
    assert verify(tmp_path).code == CANNOT


@pytest.mark.parametrize("arguments", [["--key", "x"], ["--key", "00"], ["--anchors", "nowhere"], ["--what"]])
def test_wrong_arguments_cannot_run(whole, judge, arguments):
    assert judge(whole, *arguments, trusting=False).code == CANNOT


@pytest.mark.parametrize(
    "content", [b"{", b"{}", b"1", b'["x"]', b'[{"public": 1}]', b'[{"public": "zz"}]', b'[{"public": "00"}]', b"\xff"]
)
def test_keys_of_the_wrong_kind_are_refused(whole, judge, content):
    whole["keys.json"] = content
    assert judge(whole, trusting=False).code in (TAMPERED, CANNOT)


WRONG = [None, True, 0, -1, 2**70, "x", [], {}, [[]], {"a": {}}]


@pytest.mark.parametrize(
    "path", [("record",), ("hash",), ("details",), ("salt",), ("record", "ts"), ("record", "actor")]
)
def test_values_of_the_wrong_type_are_found(whole, judge, path):
    for wrong in WRONG:
        parts = Parts(whole)

        def spoil(event, wrong=wrong):
            for name in path[:-1]:
                event = event[name]
            event[path[-1]] = wrong

        parts.change(100, spoil)
        assert judge(parts.without_table()).code == TAMPERED


def test_lines_that_are_no_events_are_found(whole, judge):
    for line in (b"{}", b"[]", b"1", b"null", b'"x"', b'{"record":{}}', b"NaN", b'{"hash":"","record":{"seq":1e400}}'):
        parts = Parts(whole)
        parts["events.jsonl"] = line + b"\n" + parts["events.jsonl"]
        assert judge(parts.without_table()).code == TAMPERED


# The program itself ----------------------------------------------------------------------------------------------


def test_it_needs_only_an_old_python():
    tree = ast.parse(VERIFIER.read_text("utf-8"), feature_version=(3, 8))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "__future__", "argparse", "base64", "csv", "datetime", "hashlib", "json", "os", "re", "sys", "typing",
        "zipfile",
    }  # fmt: skip


def test_its_signatures_are_those_of_rfc_8032():
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert verify_export.is_signed(key, signature, b"")
    assert not verify_export.is_signed(key, signature, b"x")
    above = int.from_bytes(signature[32:], "little") + verify_export.ORDER
    assert not verify_export.is_signed(key, signature[:32] + above.to_bytes(32, "little"), b"")


@settings(deadline=None, max_examples=30)
@given(text=st.binary(max_size=200), place=st.integers(0, 63), bit=st.integers(0, 7))
def test_it_accepts_what_others_sign_and_nothing_near_it(text, place, bit):
    private = Ed25519PrivateKey.generate()
    key, signature = private.public_key().public_bytes_raw(), private.sign(text)
    assert verify_export.is_signed(key, signature, text)
    wrong = bytearray(signature)
    wrong[place] ^= 1 << bit
    assert not verify_export.is_signed(key, bytes(wrong), text)
    assert not verify_export.is_signed(key, signature, text + b".")


@given(key=st.binary(max_size=40), signature=st.binary(max_size=70))
@settings(deadline=None, max_examples=50)
def test_what_is_no_key_signs_nothing(key, signature):
    assert not verify_export.is_signed(key, signature, b"")
