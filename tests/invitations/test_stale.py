"""Old invitations are closed together: after a look at which, with the outcome of each, and twice never."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from invitations import actions, claims, stale
from invitations.models import Entry, Invitation, Operation, Snapshot, Status
from portal.accounts import roles
from portal.audit.models import Event
from tests.conftest import known

URL = "/invitations/stale/"
HOUR = timedelta(hours=1)


@pytest.fixture
def old(agent, vendor, look):
    """Make invitations that are two days old, the agent's own unless told otherwise."""
    look()

    def make(*names: str, **fields) -> list[Invitation]:
        found = []
        for name in names:
            number = vendor.add(name)
            look()
            about = {"is_external": False, "created_by": agent, "created_by_name": "Mika"} | fields
            rows = Invitation.objects.filter(vendor_id=number)
            rows.update(created_at=timezone.now() - 48 * HOUR, **about)
            found.append(rows.get())
        return found

    return make


def shown(page: str) -> dict[str, bool]:
    """Return what the page offers, by name, and whether it is ticked."""
    rows = re.findall(r'<input type="checkbox" name="invitation" value="[^"]+"( checked)?.*?<b>(.*?)</b>', page)
    return {name: bool(checked) for checked, name in rows}


def send(browser, invitations, **more):
    return browser.post(URL, {"invitation": [one.public_id for one in invitations], "token": "a" * 32} | more)


def sentences(answer) -> str:
    text = answer.content.decode()
    summary = re.search(r'<ul class="stale-summary".*?</ul>', text, re.DOTALL)
    return " ".join(re.findall(r"<li>(.*?)</li>", summary[0])) if summary else ""


def test_people_are_shown_their_own_and_leads_everybody_s(agent, colleague, lead, browser_of, old):
    old("Mine")
    old("Theirs", created_by=colleague)
    old("Elsewhere", is_external=True, created_by=None)
    assert shown(browser_of(agent).get(URL).content.decode()) == {"Mine": True}
    assert shown(browser_of(lead).get(URL).content.decode()) == {"Mine": True, "Theirs": True, "Elsewhere": False}


def test_what_is_in_use_closed_young_or_of_another_key_is_never_offered(agent, vendor, look, browser_of, old):
    joined, active, closed, _young, _foreign = old("Joined", "Active", "Closed", "Young", "Foreign")
    vendor.join(joined.vendor_id)
    vendor.activate(active.vendor_id)
    vendor.close(closed.vendor_id)
    look()
    Invitation.objects.filter(client_name="Young").update(created_at=timezone.now() - 23 * HOUR)
    Invitation.objects.filter(client_name="Foreign").update(account="another")
    browser = browser_of(agent)
    page = browser.get(URL).content.decode()
    assert shown(page) == {}
    assert "Nothing to close" in page
    assert shown(browser.get(URL, {"hours": "8"}).content.decode()) == {"Young": True}
    assert shown(browser.get(URL, {"hours": "\x00"}).content.decode()) == {}


def test_doubtful_ones_are_not_ticked(agent, colleague, browser_of, old):
    old("Claimed", taken_by=colleague, taken_by_name="Joss")
    (left,) = old("Left")
    (gone,) = old("Gone")
    Entry.objects.create(invitation=left, kind=Entry.Kind.LEFT)
    Entry.objects.create(invitation=gone, kind=Entry.Kind.LEFT, at=timezone.now() - 2 * HOUR)
    page = browser_of(agent).get(URL).content.decode()
    assert shown(page) == {"Claimed": False, "Left": False, "Gone": True}
    assert "Claimed by Joss" in page


def test_fifty_are_offered_at_once(agent, browser_of, old):
    (first,) = old("Client 0")
    about = {field.attname: getattr(first, field.attname) for field in Invitation._meta.concrete_fields}
    Invitation.objects.bulk_create(
        Invitation(**about | {"id": None, "public_id": f"copy-{n}", "vendor_id": 900_000 + n}) for n in range(52)
    )
    page = browser_of(agent).get(URL).content.decode()
    assert len(re.findall('name="invitation"', page)) == stale.MOST
    assert "3 more are not shown yet" in page


def test_what_is_chosen_is_closed_and_recorded_one_by_one(agent, vendor, browser_of, old):
    chosen = old("Ada", "Bo", "Cy")
    answer = send(browser_of(agent), chosen[:2])
    assert sentences(answer) == "2 were closed."
    assert [known(one.vendor_id).status for one in chosen] == [Status.CLOSED, Status.CLOSED, Status.WAITING]
    assert Event.objects.filter(kind="invitation.close", result="ok").count() == 2
    assert [entry.kind for entry in chosen[0].entries.all()][-1] == Entry.Kind.CLOSED


def test_whoever_has_joined_meanwhile_keeps_theirs(agent, vendor, browser_of, old):
    joined, other = old("Ada", "Bo")
    vendor.join(joined.vendor_id)
    answer = send(browser_of(agent), [joined, other])
    assert sentences(answer) == "1 was closed. 1 is in use by now and stays open."
    assert known(joined.vendor_id).status == Status.JOINED
    answer = send(browser_of(agent), [joined], token="b" * 32)
    assert sentences(answer) == "1 is in use by now and stays open."


def test_whom_a_colleague_has_claimed_since_the_page_was_shown_stays(agent, colleague, vendor, browser_of, old):
    (claimed,) = old("Ada")
    (chosen,) = old("Bo", taken_by=colleague, taken_by_name="Joss")
    browser = browser_of(agent)
    page = browser.get(URL).content.decode()
    holders = dict(re.findall(r'name="(holder-[^"]+)" value="([^"]*)"', page))
    claims.claim(invitation=known(claimed.vendor_id), by=colleague)
    answer = send(browser, [claimed, chosen], **holders)
    assert sentences(answer) == "1 was closed. 1 has been claimed by now and stays open."
    assert [known(one.vendor_id).is_open for one in (claimed, chosen)] == [True, False]
    assert "Claimed by Joss Imre" in answer.content.decode()


def test_the_same_form_sent_twice_closes_nothing_twice(agent, vendor, browser_of, old):
    chosen = old("Ada", "Bo")
    browser = browser_of(agent)
    send(browser, chosen)
    assert sentences(send(browser, chosen)) == "2 were closed already."
    assert len(vendor.ledger.find("/v1/support/close")) == 2


def test_the_same_form_sent_while_the_first_is_under_way(agent, vendor, browser_of, old):
    chosen = old("Ada")
    answers = []
    vendor.before("close", lambda: answers.append(send(browser_of(agent), chosen)))
    answers.append(send(browser_of(agent), chosen))
    assert [sentences(answer) for answer in answers] == ["1 was closed already.", "1 was closed."]
    assert len(vendor.ledger.find("/v1/support/close")) == 1
    assert "sent before" in answers[0].content.decode()


def test_what_is_gone_at_the_vendor_counts_as_closed(agent, vendor, browser_of, old):
    removed, closed = old("Ada", "Bo")
    vendor.remove(removed.vendor_id)
    vendor.close(closed.vendor_id)
    assert sentences(send(browser_of(agent), [removed, closed])) == "1 was closed. 1 was closed already."
    assert {known(one.vendor_id).status for one in (removed, closed)} == {Status.CLOSED}


@pytest.mark.parametrize("call", ["info", "close"])
def test_a_vendor_down_in_the_middle_leaves_the_rest_and_says_so(agent, vendor, browser_of, old, call):
    chosen = old("Ada", "Bo", "Cy", "Di")
    vendor.after("close", lambda: vendor.fail(call, "refused", times=None))
    answer = send(browser_of(agent), chosen)
    assert sentences(answer) == "1 was closed. 1 could not be closed. 2 were not tried any more."
    text = answer.content.decode()
    assert text.count("Getscreen does not answer") == 3
    assert len(vendor.open_rows()) == 3


def test_an_outcome_nobody_knows_is_called_that(agent, vendor, browser_of, old):
    chosen = old("Ada", "Bo")
    vendor.fail("close", "hang")
    answer = send(browser_of(agent), chosen)
    assert sentences(answer) == "Of 1 nobody knows: the board shows it within a minute. 1 was not tried any more."
    assert Operation.objects.get(verb="close").state == Operation.State.UNKNOWN


def test_what_is_wrong_with_one_stops_no_other(agent, vendor, browser_of, old):
    chosen = old("Ada", "Bo")
    Invitation.objects.filter(pk=chosen[0].pk).update(account="another")
    answer = send(browser_of(agent), chosen)
    assert sentences(answer) == "1 was closed. 1 could not be closed."
    assert "another Getscreen account" in answer.content.decode()


def test_a_person_does_not_wait_for_ever(agent, vendor, browser_of, old, monkeypatch):
    monkeypatch.setattr(stale, "CLOSE_WITHIN", -1.0)
    answer = send(browser_of(agent), old("Ada"))
    assert sentences(answer) == "1 was not tried any more."
    assert "Getscreen is slow" in answer.content.decode()
    assert vendor.open_rows()


def test_others_invitations_are_not_closed_by_sending_their_names(agent, colleague, vendor, browser_of, old):
    theirs = old("Theirs", created_by=colleague)
    answer = send(browser_of(agent), theirs)
    assert sentences(answer) == "1 is not yours to close."
    answer = browser_of(agent).post(URL, {"invitation": ["nothing-there", theirs[0].public_id]})
    assert sentences(answer) == "2 are not yours to close."
    assert vendor.open_rows()


@pytest.mark.parametrize("chosen", [[], ["\x00"], ["a/b"], [f"n{number}" for number in range(51)]])
def test_nothing_and_too_many_are_refused(agent, vendor, browser_of, old, chosen):
    old("Ada")
    answer = browser_of(agent).post(URL, {"invitation": chosen, "hours": "72"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert 'value="72" selected' in answer.content.decode()
    assert vendor.open_rows()


def test_nothing_ticked_stays_nothing_ticked(agent, browser_of, old):
    old("Ada", "Bo")
    assert shown(browser_of(agent).post(URL, {}).content.decode()) == {"Ada": False, "Bo": False}


def test_without_a_log_nothing_is_closed_and_the_ticks_stay(agent, colleague, vendor, browser_of, old, monkeypatch):
    old("Bo")
    chosen = old("Ada") + old("Cy", taken_by=colleague, taken_by_name="Joss")

    def unwritable():
        raise actions.audit.Unavailable("full")

    monkeypatch.setattr(stale.audit, "ensure_writable", unwritable)
    answer = send(browser_of(agent), chosen)
    assert answer.status_code == 503
    assert "Nothing was done" in answer.content.decode()
    assert shown(answer.content.decode()) == {"Bo": False, "Ada": True, "Cy": True}
    assert vendor.open_rows()


def test_the_board_leads_there_whoever_may_close(agent, auditor, browser_of, vendor, look):
    look()
    assert URL in browser_of(agent).get("/").content.decode()
    assert URL not in browser_of(auditor).get("/").content.decode()


def test_an_auditor_is_refused(auditor, browser_of):
    assert browser_of(auditor).get(URL).status_code == 403


# Long sessions.


@pytest.fixture
def session(agent, vendor, look):
    """A session that began so many hours ago, which the agent has taken."""

    def make(hours: float, **fields) -> Invitation:
        number = vendor.add("Tilda", status=2)
        look()
        about = {"is_external": False, "taken_by": agent, "taken_by_name": "Mika", "created_by": agent} | fields
        Invitation.objects.filter(vendor_id=number).update(active_at=timezone.now() - hours * HOUR, **about)
        return known(number)

    return make


def test_whoever_has_taken_the_client_is_asked_and_others_see_it(agent, colleague, browser_of, session):
    invitation = session(7)
    mine, theirs = (browser_of(person).get("/").content.decode() for person in (agent, colleague))
    assert "still so?" in mine
    assert "Close it…" in mine
    assert "still so?" not in theirs
    assert "Long session" in theirs
    page = browser_of(colleague).get(f"/invitations/{invitation.public_id}/").content.decode()
    assert "Mika is asked whether it still goes on" in page
    assert "Still so" not in page


def test_a_short_session_is_nobody_s_question(agent, browser_of, session):
    session(5)
    assert "ong session" not in browser_of(agent).get("/").content.decode()


def test_where_nobody_has_taken_it_a_lead_may_say_so(lead, browser_of, session):
    invitation = session(7, taken_by=None, taken_by_name="")
    page = browser_of(lead).get(f"/invitations/{invitation.public_id}/").content.decode()
    assert "nobody here has taken it" in page
    assert "Still so" in page


def test_saying_so_asks_again_after_the_same_time(agent, browser_of, session, vendor, look):
    invitation = session(7)
    browser = browser_of(agent)
    answer = browser.post(f"/invitations/{invitation.public_id}/still/", {"from": "board"}, follow=True)
    text = answer.content.decode()
    assert answer.redirect_chain == [("/", 302)]
    assert "Noted: the session with Tilda goes on." in text
    assert "still so?" not in text
    assert invitation.entries.last().kind == Entry.Kind.STILL
    assert Event.objects.filter(kind="invitation.still").count() == 1
    browser.post(f"/invitations/{invitation.public_id}/still/")
    assert Event.objects.filter(kind="invitation.still").count() == 1, "it is no question any more"
    Invitation.objects.update(still_at=F("still_at") - 5.9 * HOUR)
    Snapshot.objects.update(good_at=timezone.now())
    before = look().revision
    Invitation.objects.update(still_at=F("still_at") - 0.2 * HOUR)
    Snapshot.objects.update(good_at=F("good_at") - 0.2 * HOUR)
    assert look().revision > before, "time alone brings the question back"
    assert "still so?" in browser.get("/").content.decode()
    assert not vendor.ledger.find("/v1/support/close")


def test_only_whoever_took_it_or_may_close_it_says_so(make_person, agent, colleague, browser_of, session):
    invitation = session(7, created_by=None)
    assert browser_of(colleague).post(f"/invitations/{invitation.public_id}/still/").status_code == 403
    answer = browser_of(agent).get("/").content.decode()
    assert "Close it…" not in answer, "it is not theirs to close"
    assert browser_of(agent).post(f"/invitations/{invitation.public_id}/still/").status_code == 302
    assert make_person("night", roles.TEAM_LEAD)


def test_zero_hours_never_ask(agent, browser_of, session, look):
    actions.Policy.load()
    actions.Policy.objects.update(long_session_hours=0)
    session(1000)
    look()
    assert "ong session" not in browser_of(agent).get("/").content.decode()
