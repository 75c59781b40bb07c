"""What leaves the portal as a file: the evidence about one invitation, and the history as a table."""

from __future__ import annotations

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invitations import exports
from invitations.models import Invitation
from portal.audit import keys
from portal.audit.models import Event
from tests.audit.exports import Parts, verify
from tests.conftest import known

EXPORT = "/history/export/"


@pytest.fixture
def worked(vendor, look, agent, browser_of) -> Invitation:
    """An invitation that somebody has made, renamed and closed, and another one."""
    browser = browser_of(agent)
    for name in ("Tilda", "Somebody else"):
        browser.post("/invitations/new/", {"client_name": name, "ticket": "HD-1"})
    invitation = Invitation.objects.get(client_name="Tilda")
    browser.post(f"/invitations/{invitation.public_id}/rename/", {"client_name": "=Tilda"})
    browser.post(f"/invitations/{invitation.public_id}/close/")
    invitation.refresh_from_db()
    return invitation


def evidence_of(invitation, browser) -> Parts:
    answer = browser.post(f"/invitations/{invitation.public_id}/evidence/")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="evidence-{invitation.public_id}.zip"'
    assert answer.headers["Cache-Control"] == "no-store"
    return Parts.of(b"".join(answer.streaming_content))


def test_the_evidence_holds_what_happened_and_proves_it(worked, auditor, browser_of, tmp_path):
    parts = evidence_of(worked, browser_of(auditor))
    said = [(event["record"]["kind"], event["record"]["phase"]) for event in parts.events]
    assert said[:6] == [
        (f"invitation.{verb}", phase) for verb in ("create", "rename", "close") for phase in ("intent", "outcome")
    ]
    assert b"Somebody else" not in parts["events.jsonl"]
    kept = tmp_path / "kept.txt"
    kept.write_bytes(parts["checkpoint.txt"])
    verdict = verify(parts.save(tmp_path / "e.zip"), "--key", keys.current().public.hex, "--anchors", str(kept))
    assert verdict.code == 0, verdict.said


def test_the_timeline_is_there_to_read_and_as_a_table(worked, auditor, browser_of):
    parts = evidence_of(worked, browser_of(auditor))
    rows = list(csv.DictReader(io.StringIO(parts["timeline.csv"].decode("utf-8-sig"), newline="")))
    assert [row["what"] for row in rows] == ["created", "renamed", "closed"]
    assert {row["who"] for row in rows} == {"Mika Lind"}
    assert "Closed by Mika Lind" in parts["timeline.txt"].decode()


def test_evidence_is_two_events_about_the_invitation(worked, auditor, browser_of):
    evidence_of(worked, browser_of(auditor))
    intent, outcome = Event.objects.filter(kind="audit.evidence").order_by("seq")
    assert intent.target == outcome.target == f"invitation:{worked.public_id}"
    assert (intent.phase, outcome.phase, outcome.result) == ("intent", "outcome", "ok")
    assert outcome.facts["rows"] == 7  # three operations, and that this was asked for
    assert len(outcome.facts["sha256"]) == 64


def test_who_may_not_see_everything_gets_no_evidence_and_no_button(worked, agent, lead, auditor, browser_of):
    path = f"/invitations/{worked.public_id}/"
    for person in (agent, lead):
        assert "evidence/" not in browser_of(person).get(path).content.decode()
        assert browser_of(person).post(f"{path}evidence/").status_code == 403
    assert "evidence/" in browser_of(auditor).get(path).content.decode()
    assert not Event.objects.filter(kind="audit.evidence").exists()


def test_what_is_not_there_has_no_evidence(auditor, browser_of, vendor):
    assert browser_of(auditor).post("/invitations/nothing/evidence/").status_code == 404


def test_without_a_key_there_is_no_evidence(worked, auditor, browser_of, settings):
    browser = browser_of(auditor)
    settings.AUDIT_KEY_FILE = settings.AUDIT_KEY_FILE.with_name("broken.pem")
    settings.AUDIT_KEY_FILE.write_text("no key")
    assert browser.post(f"/invitations/{worked.public_id}/evidence/").status_code == 503
    assert Event.objects.filter(kind="audit.evidence").order_by("seq").last().result == "failed"


# The history -----------------------------------------------------------------------------------------------------


def rows_of(answer) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def closed(vendor, look):
    """Seven closed invitations, and one that is open."""
    numbers = [vendor.add(f"=Tilda {number}", status=1, client_os="win") for number in range(8)]
    look()
    for number in numbers[:7]:
        vendor.close(number)
        look()  # many at once would not be believed
    return [known(number) for number in numbers[:7]]


def test_the_history_comes_as_a_table_the_last_closed_first(closed, agent, browser_of, monkeypatch):
    monkeypatch.setattr(exports, "BATCH", 2)
    answer = browser_of(agent).post(EXPORT)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = rows_of(answer)
    ordered = Invitation.objects.order_by("-closed_at", "-pk").filter(pk__in=[one.pk for one in closed])
    # An id may begin with a dash, which no cell may.
    assert [row["invitation"].lstrip("'") for row in rows] == [invitation.public_id for invitation in ordered]
    assert {row["client"][:2] for row in rows} == {"'="}
    assert {row["code"] for row in rows} == {invitation.code for invitation in closed}


def test_codes_are_for_those_who_may_see_them(closed, auditor, browser_of):
    rows = rows_of(browser_of(auditor).post(f"{EXPORT}?q={closed[0].code}"))
    assert not rows
    rows = rows_of(browser_of(auditor).post(EXPORT))
    assert len(rows) == 7
    assert "code" not in rows[0]


def test_the_search_counts(closed, agent, browser_of):
    rows = rows_of(browser_of(agent).post(f"{EXPORT}?q=Tilda+3"))
    assert [row["client"] for row in rows] == ["'=Tilda 3"]
    _, outcome = Event.objects.filter(kind="history.exported").order_by("seq")
    assert outcome.facts["filters"] == ["q"]
    assert (outcome.result, outcome.facts["rows"]) == ("ok", 1)
    assert outcome.details["filters"] == {"q": "Tilda 3"}
    assert "Tilda" not in outcome.record


def test_it_reads_as_it_is_taken(closed, agent, monkeypatch):
    monkeypatch.setattr(exports, "BATCH", 2)
    parts = iter(exports.Table(Invitation.objects.closed(), may_see_codes=True))
    with CaptureQueriesContext(connection) as queries:
        next(parts)
        next(parts)
    assert len(queries) == 1
    assert "LIMIT 2" in queries[0]["sql"]


def test_the_page_has_a_button_that_keeps_the_search(closed, agent, browser_of):
    browser = browser_of(agent)
    assert f'action="{EXPORT}"' in browser.get("/history/").content.decode()
    assert f'action="{EXPORT}?q=Tilda%20%263"' not in browser.get("/history/?q=Tilda+%263").content.decode()
    assert f'action="{EXPORT}?q=Tilda%203"' in browser.get("/history/?q=Tilda+3").content.decode()
