"""Who takes care of a client: claimed, taken over, handed over and released, and never by two without knowing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from invitations import actions, assignment, claims, expiry, recipients, sharing
from invitations.models import CONNECTING_FOR, Entry, Invitation, Policy, Snapshot, Status
from invitations.refusals import AlreadyClosed, CannotTake, Taken
from portal.accounts import memberships, roles
from portal.accounts.models import Team, User
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError
from tests.conftest import known
from tests.invitations.crew import decide


@pytest.fixture
def client(vendor, look):
    """Somebody who has joined and whom nobody has."""
    number = vendor.add("Tilda", status=1)
    look()
    return known(number)


def lines(row):
    return [(entry.kind, entry.actor_name, entry.detail) for entry in row.entries.exclude(kind__in=["found", "joined"])]


def last(kind):
    return Event.objects.filter(kind=kind).order_by("seq").last()


def here(row, page=""):
    return f"/invitations/{row.public_id}/{page}"


def holder(row):
    row.refresh_from_db()
    return row.taken_by


def text(answer):
    return " ".join(answer.content.decode().split())


# --- Claim and take over --------------------------------------------------------------------------------


def test_a_claim_stands_on_row_timeline_log_and_every_board(agent, browser_of, client):
    before = Snapshot.load().revision
    answer = browser_of(agent).post(here(client, "claim/"), {"back": "/?f=needs"})
    assert answer.headers["Location"] == "/?f=needs"
    assert holder(client) == agent
    assert lines(client) == [("claimed", "Mika Lind", "")]
    assert last("invitation.claim").result == "ok"
    assert Snapshot.load().revision > before


def test_claiming_twice_is_once(agent, client):
    for _ in range(2):
        claims.claim(invitation=client, by=agent)
    assert len(lines(client)) == 1


def test_a_list_asked_for_earlier_does_not_undo_a_claim(agent, client, vendor, look):
    vendor.after("list", lambda: claims.claim(invitation=known(client.vendor_id), by=agent))
    vendor.leave(client.vendor_id)
    look()
    assert holder(client) == agent


def test_whoever_comes_second_is_told_who_and_asked(agent, colleague, browser_of, client):
    claims.claim(invitation=client, by=agent)
    answer = browser_of(colleague).post(here(client, "claim/"))
    assert answer.status_code == 409
    assert "Mika Lind has taken care of this client since" in text(answer)
    assert f'name="take_over" value="{agent.pk}"' in text(answer)
    assert holder(client) == agent
    denied = last("invitation.claim")
    assert (denied.result, denied.facts) == ("denied", {"refused": "taken"})


def test_a_question_is_no_take_over(agent, colleague, browser_of, client):
    claims.claim(invitation=client, by=agent)
    answer = browser_of(colleague).get(here(client, f"claim/?take_over={agent.pk}"))
    assert "Take over Tilda?" in text(answer)
    assert holder(client) == agent


def test_taking_over_names_whom_from(agent, colleague, browser_of, client):
    claims.claim(invitation=client, by=agent)
    browser_of(colleague).post(here(client, "claim/"), {"take_over": agent.pk})
    assert holder(client) == colleague
    assert lines(client)[-1] == ("taken_over", "Joss Imre", "Mika Lind")
    event = last("invitation.take_over")
    assert (event.facts, event.details["holder"]) == ({}, "Mika Lind")
    assert "From Mika Lind" in text(browser_of(agent).get(here(client)))


def test_who_was_shown_one_holder_does_not_take_over_from_another(agent, colleague, lead, client):
    claims.claim(invitation=client, by=agent)
    claims.claim(invitation=client, by=colleague, take_over=str(agent.pk))
    with pytest.raises(Taken):
        claims.claim(invitation=client, by=lead, take_over=str(agent.pk))
    with pytest.raises(Taken):
        claims.hand_over(invitation=client, by=lead, to=agent, named=str(agent.pk))
    with pytest.raises(Taken):
        claims.release(invitation=client, by=lead, named=str(agent.pk))
    assert holder(client) == colleague


def test_somebody_else_s_page_is_no_place_to_go_back_to(agent, browser_of, client):
    for back in ("https://example.org/", "//example.org/", "javascript:alert(1)"):
        answer = browser_of(agent).post(here(client, "claim/"), {"back": back})
        assert answer.headers["Location"] == here(client)


# --- Connect ---------------------------------------------------------------------------------------------


def test_connect_claims_with_the_intent_and_the_boards_say_so(agent, colleague, browser_of, vendor, client):
    seen = []
    pages = ((colleague, "/"), (agent, here(client)))
    vendor.before("connect", lambda: seen.extend(text(browser_of(who).get(page)) for who, page in pages))
    actions.connect(invitation=client, by=agent)
    assert "Mika Lind</b> <span>is connecting…</span>" in seen[0]
    assert "You are connecting at this moment." in seen[-1]
    assert "connecting" not in text(browser_of(colleague).get("/"))
    assert (holder(client), client.connecting_at) == (agent, None)


def test_the_second_who_connects_is_told_who_does_and_the_vendor_hears_nothing(
    agent, colleague, browser_of, vendor, client
):
    answers = []
    vendor.before("connect", lambda: answers.append(browser_of(colleague).post(here(client, "connect/"))))
    actions.connect(invitation=client, by=agent)
    answers.append(browser_of(colleague).post(here(client, "connect/")))
    assert [answer.status_code for answer in answers] == [409, 409]
    assert "Mika Lind is connecting to this client" in text(answers[0])
    assert "Mika Lind has taken care of this client" in text(answers[1])
    assert vendor.ledger.count("link_minted") == 1
    assert last("invitation.connect").facts["refused"] == "taken"
    assert holder(client) == agent


def test_take_over_and_connect_is_one_more_press(agent, colleague, browser_of, vendor, client):
    Policy.objects.update_or_create(pk=1, defaults={"recording": "ask"})
    actions.connect(invitation=client, by=agent, record=True)
    browser = browser_of(colleague)
    page = text(browser.post(here(client, "connect/"), {"record": "no"}))
    assert "Take over and connect" in page
    assert 'name="record" value="no"' in page
    assert f'name="take_over" value="{agent.pk}"' in page
    answer = browser.post(here(client, "connect/"), {"record": "no", "take_over": agent.pk})
    assert answer.status_code == 303
    assert holder(client) == colleague
    assert [line[0] for line in lines(client)] == ["connected", "taken_over", "connected"]
    assert vendor.ledger.count("link_minted") == 2


def test_a_try_again_after_a_take_over_still_takes_over(agent, colleague, browser_of, vendor, client):
    claims.claim(invitation=client, by=agent)
    vendor.fail("connect", "status_503", times=None)
    page = text(browser_of(colleague).post(here(client, "connect/"), {"take_over": agent.pk}))
    assert "Try again" in page
    assert f'name="take_over" value="{agent.pk}"' in page


def test_a_failed_connection_leaves_the_client_as_before(agent, colleague, vendor, client):
    vendor.fail("connect", "status_400", times=None)
    with pytest.raises(GetscreenError):
        actions.connect(invitation=client, by=agent)
    assert (holder(client), client.taken_by_name, client.connecting_at) == (None, "", None)
    claims.claim(invitation=client, by=agent)
    taken_at = client.taken_at
    for person in (agent, colleague):
        with pytest.raises(GetscreenError):
            actions.connect(invitation=client, by=person, take_over=str(agent.pk))
        assert (holder(client), client.taken_at, client.connecting_at) == (agent, taken_at, None)
    assert [line[0] for line in lines(client)] == ["claimed"]


def test_who_is_taken_over_from_while_connecting_does_not_take_the_client_back(agent, colleague, vendor, client):
    def take_over():
        claims.claim(invitation=known(client.vendor_id), by=colleague, take_over=str(agent.pk))

    vendor.before("connect", take_over)
    actions.connect(invitation=client, by=agent)
    assert holder(client) == colleague


def test_a_client_who_left_meanwhile_is_nobody_s(agent, vendor, client):
    vendor.leave(client.vendor_id)
    with pytest.raises(Exception, match="not_ready"):
        actions.connect(invitation=client, by=agent)
    assert holder(client) is None


def test_a_connection_that_died_counts_no_longer_and_boards_notice(agent, colleague, browser_of, client, look):
    begin = assignment.Connecting(client, agent)
    begin.take()
    assert client.connecting_at == client.taken_at
    browser = browser_of(colleague)
    tag = browser.get("/board/rows/").headers["HX-PTag"]
    early = timezone.now() - CONNECTING_FOR - timedelta(seconds=1)
    Invitation.objects.update(connecting_at=early)
    Snapshot.objects.update(good_at=early)
    look()
    answer = browser.get("/board/rows/", headers={"HX-PTag": tag})
    assert answer.status_code == 200
    assert "connecting" not in answer.content.decode()


def test_since_when_tells_the_day_unless_it_is_today(agent, colleague, browser_of, client):
    claims.claim(invitation=client, by=agent)
    Invitation.objects.update(taken_at="2026-03-04T10:42Z")
    for page in (browser_of(colleague).get(here(client)), browser_of(colleague).post(here(client, "connect/"))):
        assert "since 4 Mar, 10:42" in text(page)


# --- Waiting and alerts ----------------------------------------------------------------------------------


def calls(browser):
    told = json.loads(browser.get("/board/waiting/").content)
    return told["needs"], [client["name"] for client in told["joined"]]


def test_a_claimed_client_calls_nobody_else(agent, colleague, browser_of, client):
    assert calls(browser_of(colleague)) == (1, ["Tilda"])
    claims.claim(invitation=client, by=agent)
    assert calls(browser_of(agent)) == calls(browser_of(colleague)) == (0, [])
    page = text(browser_of(colleague).get("/"))
    assert 'data-needs="0"' in page
    assert 'data-kind="taken"' in page


def test_a_client_who_was_claimed_before_they_came_calls_only_whoever_has_them(
    agent, colleague, browser_of, vendor, look
):
    number = vendor.add("Tilda")
    look()
    claims.claim(invitation=known(number), by=agent)
    vendor.join(number)
    look()
    assert known(number).taken_by == agent
    assert calls(browser_of(agent)) == (1, ["Tilda"])
    assert calls(browser_of(colleague)) == (0, [])
    assert 'class="row is-given"' in text(browser_of(agent).get("/"))
    assert 'class="row is-taken"' in text(browser_of(colleague).get("/"))
    actions.connect(invitation=known(number), by=agent)
    assert calls(browser_of(agent)) == (0, [])


def test_a_claim_outlasts_a_new_name_but_not_the_client(agent, vendor, look):
    number = vendor.add("Tilda")
    look()
    claims.claim(invitation=known(number), by=agent)
    vendor.rename(number, "Tilda B.")
    look()
    assert (known(number).client_name, known(number).taken_by) == ("Tilda B.", agent)
    vendor.join(number)
    look()
    vendor.leave(number)
    look()
    vendor.join(number)
    look()
    assert known(number).taken_by is None


def test_an_unchanged_poll_asks_no_more_than_before(
    agent, colleague, browser_of, client, django_assert_max_num_queries
):
    claims.claim(invitation=client, by=agent)
    browser = browser_of(colleague)
    for address in ("/board/rows/", here(client, "live/"), "/board/waiting/"):
        tag = browser.get(address).headers["HX-PTag"]
        with django_assert_max_num_queries(3):  # the session, the person, the snapshot
            assert browser.get(address, headers={"HX-PTag": tag}).status_code == 304


# --- Hand over and release -------------------------------------------------------------------------------


def test_a_client_is_handed_over_with_a_note_that_can_be_erased(agent, colleague, browser_of, client):
    claims.claim(invitation=client, by=agent)
    page = browser_of(agent).get(here(client, "hand-over/"))
    assert f'value="person-{colleague.pk}"' in text(page)
    form = {"to": f"person-{colleague.pk}", "note": "Speaks  Danish", "holder": agent.pk, "back": "/"}
    answer = browser_of(agent).post(here(client, "hand-over/"), form)
    assert answer.headers["Location"] == "/"
    assert holder(client) == colleague
    assert lines(client)[-1] == ("handed_over", "Mika Lind", "Joss Imre: Speaks Danish")
    event = last("invitation.hand_over")
    assert event.facts == {"recipient": "person"}
    assert (event.details["to"], event.details["note"]) == ("Joss Imre", "Speaks Danish")
    assert calls(browser_of(colleague)) == (1, ["Tilda"])
    assert calls(browser_of(agent)) == (0, [])
    page = text(browser_of(colleague).get(here(client)))
    assert "You were given this client." in page
    assert "To Joss Imre: Speaks Danish" in page
    browser_of(colleague).post(here(client, "claim/"))
    assert calls(browser_of(colleague)) == (0, [])


def test_who_connects_to_a_client_that_was_given_to_another_is_told_so(agent, colleague, lead, browser_of, client):
    claims.hand_over(invitation=client, by=agent, to=colleague)
    answer = browser_of(lead).post(here(client, "connect/"))
    assert "This client was handed over to Joss Imre" in text(answer)
    assert "Joss Imre has not taken it up yet." in text(answer)
    assert "handed over to Joss Imre, who has not taken it up yet" in text(browser_of(lead).get(here(client, "claim/")))


def test_a_team_gets_the_client_and_nobody_in_it_has_them(agent, colleague, browser_of, client):
    team = Team.objects.create(name="Second line")
    claims.claim(invitation=client, by=agent)
    browser_of(agent).post(here(client, "hand-over/"), {"to": f"team-{team.pk}", "holder": agent.pk})
    assert (holder(client), client.team) == (None, team)
    assert lines(client)[-1] == ("handed_over", "Mika Lind", "Second line")
    assert last("invitation.hand_over").facts == {"recipient": "team"}
    assert "It is with the team Second line." in text(browser_of(colleague).get(here(client)))
    assert calls(browser_of(colleague)) == (1, ["Tilda"])


def test_a_team_that_is_gone_by_now_gets_nothing(agent, client):
    team = Team.objects.create(name="Second line")
    Team.objects.filter(pk=team.pk).delete()  # after the form has read it
    with pytest.raises(CannotTake):
        claims.hand_over(invitation=client, by=agent, to=team)
    assert lines(client) == []


@pytest.mark.parametrize("is_private", [False, True])
def test_a_team_in_which_nobody_would_see_the_client_cannot_be_chosen(agent, colleague, browser_of, client, is_private):
    decide("teams", is_private_allowed=True)
    Invitation.objects.update(is_private=is_private, taken_by=agent, taken_by_name="Mika Lind")
    client.refresh_from_db()
    team = Team.objects.create(name="Second line")
    for is_lead in (None, False, True):
        if is_lead is not None:
            memberships.write("user", {colleague.pk: is_lead}, team=team)
        is_seen = is_lead is True if is_private else is_lead is not None
        assert (f'value="team-{team.pk}"' in text(browser_of(agent).get(here(client, "hand-over/")))) == is_seen
        if not is_seen:
            with pytest.raises(CannotTake):
                claims.hand_over(invitation=client, by=agent, to=team)
    claims.hand_over(invitation=client, by=agent, to=team)
    assert client in Invitation.objects.visible_to(User.objects.get(pk=colleague.pk))


def test_only_who_may_connect_and_is_not_disabled_can_be_chosen(
    agent, colleague, lead, auditor, outsider, browser_of, client
):
    User.objects.filter(pk=colleague.pk).update(is_active=False)
    assert recipients.people_for(client, by=agent) == [lead]
    for person in (colleague, auditor, outsider, agent):
        answer = browser_of(agent).post(here(client, "hand-over/"), {"to": f"person-{person.pk}"})
        assert answer.status_code == 422
        assert "cannot be chosen any more" in text(answer)


def test_who_may_not_see_it_cannot_be_chosen(agent, colleague, lead, client):
    team = Team.objects.create(name="Second line")
    memberships.write("user", {lead.pk: False}, team=team)
    Invitation.objects.update(team=team)
    client.refresh_from_db()
    assert set(recipients.people_for(client, by=agent)) == {colleague, lead}
    decide("teams")
    assert recipients.people_for(client, by=agent) == [lead]


def test_many_colleagues_are_found_with_as_many_queries_as_few(agent, make_person, client, django_assert_num_queries):
    decide("teams", is_private_allowed=True)
    team = Team.objects.create(name="Second line")
    Invitation.objects.update(team=team)
    client.refresh_from_db()
    many = {make_person(f"person{number}", roles.AGENT).pk: False for number in range(12)}
    memberships.write("user", many, team=team)
    with django_assert_num_queries(2):  # the people and the policy
        assert len(recipients.people_for(client, by=agent)) == 12


def test_who_has_lost_the_right_meanwhile_gets_nothing(agent, colleague, browser_of, client, monkeypatch):
    monkeypatch.setattr(recipients, "people_for", lambda invitation, *, by: [colleague])
    colleague.groups.clear()
    answer = browser_of(agent).post(here(client, "hand-over/"), {"to": f"person-{colleague.pk}"})
    assert answer.status_code == 422
    assert "may not connect to this client any more" in text(answer)
    assert f'<option value="person-{colleague.pk}"' in text(answer)
    assert holder(client) is None


def test_colleagues_who_are_away_are_marked(agent, colleague, lead, browser_of, client):
    browser_of(lead)
    page = text(browser_of(agent).get(here(client, "hand-over/")))
    assert "Joss Imre (away)" in page
    assert ">lead<" in page


def test_with_nobody_to_choose_the_page_says_so(agent, browser_of, client):
    assert "There is nobody else who may connect" in text(browser_of(agent).get(here(client, "hand-over/")))


def test_what_others_have_only_leads_hand_over_and_release(agent, colleague, lead, browser_of, client):
    claims.claim(invitation=client, by=agent)
    refused = browser_of(colleague).get(here(client, "hand-over/"))
    assert refused.status_code == 403
    assert "Mika Lind has this client." in text(refused)
    with pytest.raises(Taken):
        claims.hand_over(invitation=client, by=colleague, to=lead, named=str(agent.pk))
    answer = browser_of(colleague).post(here(client, "release/"), {"holder": agent.pk})
    assert answer.status_code == 409
    assert "Mika Lind has this client by now, so nothing was changed." in text(answer)
    assert "Take over and connect" not in text(answer)
    assert holder(client) == agent
    page = text(browser_of(lead).get(here(client, "hand-over/")))
    assert "Mika Lind has this client now." in page
    form = {"to": f"person-{colleague.pk}", "holder": agent.pk}
    assert browser_of(lead).post(here(client, "hand-over/"), form).status_code == 302
    assert holder(client) == colleague
    browser_of(lead).post(here(client, "release/"), {"holder": colleague.pk})
    assert holder(client) is None
    assert lines(client)[-1] == ("released", "lead", "Joss Imre")


def test_a_lead_whose_page_is_old_is_shown_who_has_the_client_now(agent, colleague, lead, browser_of, client):
    claims.claim(invitation=client, by=colleague)
    form = {"to": f"person-{colleague.pk}", "holder": str(agent.pk)}
    claims.claim(invitation=client, by=agent, take_over=str(colleague.pk))
    form["holder"] = str(colleague.pk)
    answer = browser_of(lead).post(here(client, "hand-over/"), form)
    assert answer.status_code == 409
    assert "Mika Lind has this client by now, so nothing was changed." in text(answer)
    assert holder(client) == agent


def test_releasing_gives_the_client_back_to_everybody(agent, colleague, browser_of, client):
    browser = browser_of(agent)
    browser.post(here(client, "claim/"))
    browser.post(here(client, "release/"))
    assert holder(client) is None
    assert lines(client)[-1] == ("released", "Mika Lind", "")
    assert calls(browser_of(colleague)) == (1, ["Tilda"])
    claims.release(invitation=client, by=agent)
    assert len(lines(client)) == 2


# --- Rights ----------------------------------------------------------------------------------------------


def test_rights_lost_in_between_are_a_clear_refusal(agent, auditor, browser_of, client):
    browser = browser_of(agent)
    browser.get(here(client, "claim/"))
    agent.groups.set(auditor.groups.all())
    for page in ("claim/", "release/", "hand-over/"):
        answer = browser.post(here(client, page))
        assert answer.status_code == 403
        assert "This page needs another role. Your administrator can give it to you." in text(answer)
    assert lines(client) == []


def test_what_one_sees_no_longer_one_cannot_touch(agent, colleague, client, vendor, monkeypatch):
    Invitation.objects.update(created_by=agent, is_external=False, expires_at=timezone.now() + timedelta(hours=1))
    client.refresh_from_db()
    monkeypatch.setattr(recipients, "sees", lambda person, invitation: False)
    for act in (
        lambda: claims.claim(invitation=client, by=agent),
        lambda: claims.release(invitation=client, by=agent),
        lambda: claims.hand_over(invitation=client, by=agent, to=colleague),
        lambda: actions.connect(invitation=client, by=agent),
        lambda: actions.rename(invitation=client, by=agent, client_name="Tilda Brandt"),
        lambda: actions.close(invitation=client, by=agent),
        lambda: actions.annotate(invitation=client, by=agent, note="Hers"),
        lambda: expiry.extend(invitation=client, by=agent, hours=8),
        lambda: sharing.mail(invitation=client, by=agent, to="tilda@example.org", language="en"),
    ):
        with pytest.raises(PermissionDenied, match="any more"):
            act()
    assert lines(client) == []
    assert vendor.ledger.count("close") == vendor.ledger.count("link_minted") == 0


def test_actions_check_the_right_themselves(agent, auditor, client):
    for act in (
        lambda: claims.claim(invitation=client, by=auditor),
        lambda: claims.release(invitation=client, by=auditor),
        lambda: claims.hand_over(invitation=client, by=auditor, to=agent),
    ):
        with pytest.raises(PermissionDenied):
            act()
    with pytest.raises(CannotTake):
        claims.hand_over(invitation=client, by=agent, to=auditor)
    assert lines(client) == []


def test_a_closed_invitation_is_nobody_s_to_take(agent, colleague, lead, client):
    claims.claim(invitation=client, by=colleague)
    actions.close(invitation=client, by=lead)
    with pytest.raises(AlreadyClosed):
        claims.claim(invitation=client, by=agent)
    assert holder(client) == colleague, "history says who had it"


def test_buttons_are_those_that_work(agent, colleague, lead, auditor, browser_of, client):
    def has(person, page):
        found = text(browser_of(person).get(page))
        return [word for word in ("Take care of it", "Take over…", "Hand over…", "Release") if f"{word}<" in found]

    for page in ("/", here(client)):
        assert has(agent, page) == ["Take care of it", "Hand over…"]
        assert has(auditor, page) == []
    claims.claim(invitation=client, by=agent)
    for page in ("/", here(client)):
        assert has(agent, page) == ["Hand over…", "Release"]
        assert has(colleague, page) == ["Take over…"]
        assert has(lead, page) == ["Take over…", "Hand over…", "Release"]
    Invitation.objects.update(status=Status.CLOSED, closed_at=timezone.now())
    Snapshot.bump()
    assert has(agent, here(client)) == []


@pytest.mark.parametrize("kind", [Entry.Kind.RELEASED, Entry.Kind.RETURNED, Entry.Kind.TAKEN_OVER])
def test_the_timeline_says_whom_a_change_was_about(agent, browser_of, client, kind):
    Entry.objects.create(invitation=client, kind=kind, detail="Ada O’Shea")
    assert "Ada O’Shea" in text(browser_of(agent).get(here(client)))


def test_whoever_releases_what_they_see_no_longer_is_not_sent_there(agent, browser_of, client):
    decide("teams")
    Invitation.objects.update(team=Team.objects.create(name="Second line"), taken_by=agent, taken_by_name="Mika Lind")
    browser = browser_of(agent)
    answer = browser.post(here(client, "release/"), {"holder": agent.pk})
    assert answer.headers["Location"] == "/"
    assert "Nobody has Tilda now." in text(browser.get("/"))


def test_a_client_of_a_key_no_longer_in_use_calls_nobody(agent, browser_of, client):
    Invitation.objects.update(account="another", taken_by=agent, taken_by_name="Mika Lind")
    Snapshot.bump()
    assert calls(browser_of(agent)) == (0, [])
    assert "is-given" not in text(browser_of(agent).get("/"))
    assert 'data-needs="0"' in text(browser_of(agent).get(here(client)))


def test_a_person_with_the_longest_of_names_can_do_everything(agent, colleague, browser_of, client):
    User.objects.update(first_name="Ö" * 150, last_name="x" * 150)
    browser = browser_of(agent)
    assert browser.post(here(client, "claim/")).status_code == 302
    assert browser.post(here(client, "note/"), {"note": "Mine", "seen": "0"}).status_code == 302
    assert browser.post(here(client, "hand-over/"), {"to": f"person-{colleague.pk}"}).status_code == 302
    assert holder(client) == colleague
    assert client.taken_by_name == "Ö" * 150
    assert browser_of(colleague).get(here(client)).status_code == 200
