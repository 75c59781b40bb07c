"""Exports of the log: what is in them, who may have them, that they stream, and the two events that each leaves."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from portal import audit
from portal.audit import archive, cells, keys, purging, selection, verify_export
from portal.audit import export as exporting
from portal.audit.canonical import canonical, hash_of
from portal.audit.downloads import Download
from portal.audit.export import Changed, Export, line_of
from portal.audit.models import Event
from portal.audit.selection import select
from tests.audit.exports import Parts, verify
from tests.audit.tampering import Log

PAGE = "/audit/export/"


def table_of(content: bytes) -> list[dict[str, str]]:
    """The table as a program reads it that takes the apostrophes away."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    return [{name: cell[1:] if cell.startswith("'") else cell for name, cell in row.items()} for row in rows]


def body_of(answer) -> bytes:
    return b"".join(answer.streaming_content)


def hang_up(answer) -> None:
    """Close what an answer reads from, as a server does when the browser has gone; the test keeps its connection."""
    for close in list(answer._resource_closers):
        close()


def last_two(kind="audit.exported"):
    return list(Event.objects.filter(kind=kind).order_by("seq"))[-2:]


@pytest.fixture
def events(agent, lead):
    for number in range(20):
        person = agent if number % 2 else lead
        about = {"target_type": "invitation", "target_id": f"id{number % 4}", "target_label": "Tilda"}
        audit.record("signout", result="ok", actor=person, details={"ticket": f"HD-{number % 5}"}, **about)


# The content -----------------------------------------------------------------------------------------------------


def test_the_whole_log_holds_every_event_as_it_is_stored(events):
    found = Parts.exported().events
    assert [hash_of(canonical(event["record"])) for event in found] == [
        event.hash for event in Event.objects.order_by("seq")
    ]
    assert [event["details"] for event in found if "details" in event] == [
        event.details for event in Event.objects.order_by("seq") if event.details
    ]
    assert all("proof" not in event for event in found)


def test_its_files_are_these(events):
    parts = Parts.exported()
    assert set(parts) == {
        *("README.txt", "verify_export.py", "checkpoint.txt", "checkpoints.txt", "keys.json"),
        *("events.jsonl", "events.csv"),
    }
    assert json.loads(parts["keys.json"])[-1]["verifier"] == keys.current().public.verifier
    assert "python3 verify_export.py" in parts["README.txt"].decode()
    assert set(Parts.exported(select({"kind": "signout"}))) == set(parts) - {"checkpoints.txt"}


def test_the_table_says_the_same(events, agent):
    rows = table_of(Parts.exported()["events.csv"])
    event = Event.objects.get(seq=2)
    assert len(rows) == Event.objects.count()
    assert rows[1] == {
        "seq": "2", "time": event.at.isoformat(timespec="microseconds"), "kind": "signout", "sentence": "signed out",
        "who": agent.display_name, "roles": "Agent", "result": "ok", "phase": "single", "reference": "",
        "target": "invitation:id1", "network": "", "ip": "", "ticket": "HD-1", "hash": event.hash,
    }  # fmt: skip


def test_without_details_nothing_personal_is_in_it(events):
    parts = Parts.exported(with_details=False)
    for name in ("events.jsonl", "events.csv"):
        assert b"Tilda" not in parts[name]
        assert b"HD-1" not in parts[name]
    audit.record("signin.failed", result="denied", actor_name="somebody@example.org")
    assert b"[left out]" in Parts.exported(with_details=False)["events.csv"]
    assert b"somebody" in Parts.exported()["events.csv"]


def test_json_and_table_alone_are_the_same_as_in_the_zip(events):
    parts = Parts.exported()
    size = len(parts.events)
    for form in ("jsonl", "csv"):
        content = Export(form=form)
        lines = b"".join(content).splitlines(keepends=True)
        assert content.rows == len(lines) - (form == "csv")
        is_same = b"".join(lines[: size + (form == "csv")]) == parts[f"events.{form}"]
        assert is_same


def test_a_log_that_was_spoilt_can_be_exported_and_is_found_out(events, tmp_path):
    log = Log.load()
    log.events[3]["record"] = 'no record\n{"x":1}'
    log.events[5]["record"] = "[" * 50_000
    log.events[7]["detail"]["data"] = "{ }\n"
    log.store()
    parts = Parts.exported()
    assert len(parts["events.jsonl"].splitlines()) == len(table_of(parts["events.csv"]))
    assert verify(parts.save(tmp_path / "export.zip")).code == 1


def test_what_cannot_be_read_never_becomes_two_lines():
    line = line_of("h", 'x\n{"y":1}', ("s", "\u2028\n"), ["a"])
    assert line.count("\n") == 1
    assert json.loads(line)["record"] == 'x\n{"y":1}'


def test_a_purge_meanwhile_spoils_the_export_and_says_so(events):
    for _ in range(300):
        audit.record("signout")
    with pytest.raises(Changed):
        list(archive.pack(purged_meanwhile(Export())))


def purged_meanwhile(export):
    for name, parts in export.files():
        yield name, parts
        if name == "events.jsonl":
            purging.purge(256, reason="age")


# Choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ({"target": "invitation:id1"}, [2, 6, 10, 14, 18]),
        ({"ticket": "HD-2"}, [3, 8, 13, 18]),
        ({"ticket": "HD-2", "target": "invitation:id1"}, [18]),
        ({"kind": "signout", "result": "failed"}, []),
        ({"kind": "", "ticket": "", "from_ts": None}, list(range(1, 21))),
        ({"from_ts": 0, "to_ts": 1}, []),
    ],
)
def test_filters_choose(events, filters, seqs):
    assert list(select(filters).values_list("seq", flat=True)) == seqs


def test_times_begin_with_their_first_and_end_before_their_last(events):
    first, last = Event.objects.get(seq=5).ts, Event.objects.get(seq=9).ts
    chosen = select({"from_ts": first, "to_ts": last}).values_list("seq", flat=True)
    assert list(chosen) == [event.seq for event in Event.objects.order_by("seq") if first <= event.ts < last]


def test_everything_about_a_target_includes_the_operation_that_made_it(agent):
    reference = audit.new_reference()
    audit.record("invitation.create", phase="intent", target_type="invitation", reference=reference, actor=agent)
    audit.record("signout", actor=agent)
    audit.record("invitation.create", phase="outcome", result="ok", target_type="invitation", target_id="a",
                 reference=reference, actor=agent)  # fmt: skip
    audit.record("invitation.close", phase="outcome", target_type="invitation", target_id="b", reference="0" * 32)
    assert list(selection.about("invitation:a").values_list("seq", flat=True)) == [1, 3]


def test_many_chosen_events_come_in_pages_and_batches(events, monkeypatch):
    monkeypatch.setattr(exporting, "NUMBERS", 7)
    monkeypatch.setattr(exporting, "BATCH", 3)
    chosen = Parts.exported(select({"kind": "signout"}))
    assert [event["record"]["seq"] for event in chosen.events] == list(range(1, 21))


# Cells -----------------------------------------------------------------------------------------------------------

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\x00=1",
    "'=1",
    " =1",
    "  +1",
    "＝1",
    '"',
    "a,b",
    "",
    "'",
]


@pytest.mark.parametrize("text", NASTY)
def test_no_cell_is_a_formula(text):
    cell = cells.safe(text)
    assert not cell.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝"))


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(NASTY), min_size=2)))
def test_what_is_written_can_be_read_back(rows):
    text = cells.encode(rows).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [[cell[1:] if cell[:1] == "'" else cell for cell in row] for row in read] == rows
    for row in read:
        assert not any(cell[:1] in tuple("=+-@\t\r\n\x00") for cell in row if cell)


def test_names_typed_to_be_formulas_stay_text_and_the_export_intact(agent, tmp_path):
    for number, text in enumerate(NASTY):
        audit.record("signin.failed", result="denied", actor_name=text, details={"ticket": text, "n": number})
    parts = Parts.exported()
    rows = table_of(parts["events.csv"])
    told = [event["details"].get("ticket", "") for event in parts.events if "n" in event.get("details", {})]
    assert [row["ticket"] for row in rows[: len(NASTY)]] == told
    assert verify(parts.save(tmp_path / "export.zip")).code == 2


def test_the_program_and_the_portal_agree_about_every_cell(events):
    parts = Parts.exported()
    rows = [list(row.values()) for row in table_of(parts["events.csv"])]
    assert [verify_export.cells(event) for event in parts.events] == [row[:3] + row[4:] for row in rows]


# The page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"), [("agent", 403), ("lead", 403), ("outsider", 403), ("auditor", 200), ("admin", 200)]
)
def test_only_who_sees_everything_exports(request, browser_of, events, vendor, who, status):
    browser = browser_of(request.getfixturevalue(who))
    assert browser.get(PAGE).status_code == status
    answer = browser.post(PAGE, {"form": "jsonl"})
    assert answer.status_code == status
    assert Event.objects.filter(kind="audit.exported").exists() == (status == 200)


def test_the_page_says_what_is_exported(auditor, browser_of, vendor):
    browser = browser_of(auditor)
    assert "The whole log" in browser.get(PAGE).content.decode()
    page = browser.get(f"{PAGE}?kind=signout&ticket=HD-%3Cb%3E").content.decode()
    assert "HD-&lt;b&gt;" in page
    assert "Each comes with a proof" in page
    assert f'action="{PAGE}?kind=signout&amp;ticket=HD-%3Cb%3E"' in page


@pytest.mark.parametrize(
    "query", ["kind=nothing", "from=x", "network=x", "reference=1", "invitation=a%20b", "result=x"]
)
def test_wrong_filters_export_nothing(auditor, browser_of, vendor, query):
    browser = browser_of(auditor)
    for answer in (browser.get(f"{PAGE}?{query}"), browser.post(f"{PAGE}?{query}", {"form": "zip"})):
        assert answer.status_code == 422
    assert not Event.objects.filter(kind="audit.exported").exists()


def test_the_zip_comes_as_a_file_that_nobody_keeps(auditor, browser_of, events, vendor):
    answer = browser_of(auditor).post(PAGE, {"form": "zip", "details": "on"})
    assert answer.streaming
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"Tilda" in Parts.of(body_of(answer))["events.jsonl"]


def test_every_filter_of_the_address_counts(auditor, agent, browser_of, events, vendor):
    browser = browser_of(auditor)
    query = f"who=user:{agent.pk}&kind=signout&result=ok&invitation=id1&ticket=HD-1&from=2001-01-01&to=2999-12-31"
    lines = body_of(browser.post(f"{PAGE}?{query}", {"form": "jsonl"})).splitlines()
    assert [json.loads(line)["record"]["seq"] for line in lines] == [2]
    assert not body_of(browser.post(f"{PAGE}?who=user:{agent.pk}&invitation=id0", {"form": "jsonl"}))


def test_an_export_is_two_events(auditor, browser_of, events, vendor):
    browser = browser_of(auditor)
    answer = browser.post(f"{PAGE}?kind=signout&ticket=HD-2", {"form": "csv"})
    (intent,) = Event.objects.filter(kind="audit.exported")
    assert (intent.phase, intent.result) == ("intent", "")
    content = body_of(answer)
    intent, outcome = last_two()
    assert (outcome.phase, outcome.result, outcome.reference) == ("outcome", "ok", intent.reference)
    assert outcome.actor == f"user:{auditor.pk}"
    assert outcome.facts["rows"] == 4
    assert outcome.facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert outcome.facts["filters"] == ["kind", "ticket"]
    assert "HD-2" not in outcome.record
    assert outcome.details["filters"] == {"kind": "signout", "ticket": "HD-2"}
    assert outcome.origin_ip == "127.0.0.1"  # though its request is over by then


def test_an_export_holds_its_own_intent(auditor, browser_of, events, vendor):
    parts = Parts.of(body_of(browser_of(auditor).post(PAGE, {"form": "zip"})))
    kinds = [event["record"]["kind"] for event in parts.events]
    assert kinds.count("audit.exported") == 1


@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.usefixtures("lasting_connection")
def test_a_download_that_is_given_up_says_how_far_it_came(auditor, browser_of, events, vendor, monkeypatch, taken):
    monkeypatch.setattr(exporting, "BATCH", 2)
    answer = browser_of(auditor).post(PAGE, {"form": "jsonl"})
    parts = iter(answer)
    sent = sum(len(next(parts)) for _ in range(taken))
    hang_up(answer)
    hang_up(answer)
    _, outcome = last_two()
    assert (outcome.phase, outcome.result) == ("outcome", "failed")
    assert outcome.facts["bytes"] == sent
    assert outcome.facts["error"] == "Abandoned"
    assert "sha256" not in outcome.facts
    assert Event.objects.filter(kind="audit.exported").count() == 2


def test_the_last_bytes_stay_here_if_the_log_cannot_say_so(auditor, events, monkeypatch):
    download = Download("audit.exported", lambda: Export(form="jsonl"), facts={}, actor=auditor)

    def refuse(*args, **kwargs):
        raise audit.Unavailable("full")

    monkeypatch.setattr(audit, "record", refuse)
    with pytest.raises(audit.Unavailable):
        list(download)
    assert not Event.objects.filter(kind="audit.exported", phase="outcome").exists()


def test_an_error_on_the_way_is_a_failed_export(auditor, events):
    class Broken:
        rows = 3

        def __iter__(self):
            yield b"a"
            yield b"b"
            raise RuntimeError("broken")

    download = Download("audit.exported", Broken, facts={}, actor=auditor)
    with pytest.raises(RuntimeError):
        list(download)
    download.close()
    _, outcome = last_two()
    assert (outcome.result, outcome.facts["error"], outcome.facts["rows"]) == ("failed", "RuntimeError", 3)


def test_without_a_key_to_sign_with_nothing_is_exported_and_the_page_says_why(auditor, browser_of, vendor, settings):
    browser = browser_of(auditor)
    settings.AUDIT_KEY_FILE = settings.AUDIT_KEY_FILE.with_name("other.pem")
    settings.AUDIT_KEY_FILE.write_text("no key")
    answer = browser.post(PAGE, {"form": "zip"})
    assert answer.status_code == 503
    assert "AUDIT_KEY_FILE" in answer.content.decode()
    assert last_two()[1].result == "failed"


def test_it_speaks_the_language_of_its_reader(auditor, browser_of, events, vendor):
    with translation.override("en"):
        answer = browser_of(auditor).post(PAGE, {"form": "csv"})
    with translation.override("de"):
        body_of(answer)
        assert translation.get_language() == "de"


# Streaming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("events_of", [lambda: None, lambda: select({"kind": "signout"})])
@pytest.mark.parametrize("form", ["zip", "jsonl", "csv"])
def test_no_query_reads_more_than_a_batch(events, monkeypatch, form, events_of):
    monkeypatch.setattr(exporting, "BATCH", 4)
    monkeypatch.setattr(exporting, "NUMBERS", 8)
    export = Export(events_of(), form=form)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        list(export)
    reading = [query["sql"] for query in queries if "audit_event" in query["sql"] and '"record"' in query["sql"]]
    assert len(reading) >= 5
    for sql in reading:
        assert "BETWEEN" in sql or " IN (" in sql or ("<=" in sql and ">=" in sql), sql


def test_it_reads_as_it_is_taken(events, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH", 4)
    parts = iter(Export(form="jsonl"))
    with CaptureQueriesContext(connection) as queries:
        next(parts)
    assert len(queries) == 2


def test_a_zip_never_goes_back_and_keeps_nothing():
    files = [("a", (os.urandom(1000) for _ in range(1000))), ("b", [b"x"])]
    taken = [len(part) for part in archive.pack(files)]
    assert max(taken) < 2 * archive.CHUNK
    assert sum(taken) > 1_000_000


# The command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_a_file_for_its_owner(events, tmp_path):
    place = tmp_path / "export.zip"
    call_command("audit_export", out=str(place))
    assert place.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["export.zip"]
    assert verify(place, "--key", keys.current().public.hex).code == 2
    intent, outcome = last_two()
    assert intent.actor == outcome.actor == "portal"
    assert outcome.facts["sha256"] == hashlib.sha256(place.read_bytes()).hexdigest()


def test_the_command_takes_filters(events, tmp_path, agent):
    place = tmp_path / "export.jsonl"
    call_command("audit_export", f"--out={place}", "--jsonl", "--actor=AGENT", "--ticket=HD-1", "--without-details")
    found = [json.loads(line) for line in place.read_bytes().splitlines()]
    assert [event["record"]["seq"] for event in found] == [2, 12]
    assert not any("details" in event for event in found)


@pytest.mark.parametrize("arguments", [["--from=x"], ["--kind=nothing"], ["--network=x"], ["--out=/nowhere/at/all"]])
def test_the_command_refuses_what_it_cannot_do(events, arguments):
    with pytest.raises(CommandError):
        call_command("audit_export", *arguments)


def test_a_folder_that_takes_no_file_is_said_with_the_way_out(events, tmp_path):
    with pytest.raises(CommandError, match="--out - for the output"):
        call_command("audit_export", f"--out={tmp_path / 'nowhere' / 'log.zip'}")


def test_a_command_that_fails_leaves_no_file(events, tmp_path, monkeypatch):
    def fail(self):
        yield b"x"
        raise Changed("meanwhile")

    monkeypatch.setattr(Export, "lines", fail)
    place = tmp_path / "export.jsonl"
    with pytest.raises(CommandError, match="meanwhile"):
        call_command("audit_export", f"--out={place}", "--jsonl")
    assert not list(tmp_path.iterdir())
    assert last_two()[1].result == "failed"


def test_the_command_writes_to_a_program(events, capfdbinary):
    call_command("audit_export", "--out=-", "--csv")
    assert len(table_of(capfdbinary.readouterr().out)) == last_two()[1].facts["rows"]
