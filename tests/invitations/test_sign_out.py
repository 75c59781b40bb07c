"""Signing out with clients: asked first what becomes of each, kept signed in by nothing."""

from __future__ import annotations

import pytest

from invitations import claims
from invitations.models import Invitation, Policy, Status
from portal import audit
from portal.accounts.models import Team, User
from portal.audit.models import Event
from tests.conftest import known

OUT = "/accounts/logout/"
ASKED = "/sign-out/"


@pytest.fixture
def held(vendor, look, agent):
    """One who waits and one in a session, both the agent's."""
    numbers = [vendor.add("Tilda", status=1), vendor.add("Bo", status=2)]
    look()
    rows = [known(number) for number in numbers]
    for row in rows:
        claims.claim(invitation=row, by=agent)
    return rows


def text(answer):
    return " ".join(answer.content.decode().split())


def is_out(browser):
    return browser.get("/").status_code == 302


def holders(*rows):
    return [Invitation.objects.get(pk=row.pk).taken_by for row in rows]


def test_without_clients_nobody_is_asked(agent, browser_of):
    browser = browser_of(agent)
    assert browser.get(ASKED).headers["Location"] == OUT
    assert browser.get(OUT).status_code == 200
    assert browser.post(OUT).headers["Location"] == "/accounts/login/"
    assert is_out(browser)
    browser = browser_of(agent)
    assert browser.post(ASKED).headers["Location"] == "/accounts/login/"
    assert is_out(browser)


@pytest.mark.parametrize("method", ["get", "post"])
def test_with_clients_the_page_asks_about_each(agent, colleague, browser_of, held, method):
    browser = browser_of(agent)
    answer = getattr(browser, method)(OUT)
    assert answer.headers["Location"] == ASKED
    page = text(browser.get(ASKED))
    for row in held:
        assert f'<select name="{row.public_id}"' in page
    assert page.count('value="queue" selected') == page.count('value="keep" selected') == 1
    assert "Joss Imre (away)" in page
    assert "once you have been away for 15 minutes" in page
    assert not is_out(browser)
    Policy.objects.update_or_create(pk=1, defaults={"orphaned_after_minutes": 0})
    assert "until you come back or a colleague takes over" in text(browser.get(ASKED))


def test_each_choice_is_carried_out_before_the_person_leaves(agent, colleague, browser_of, held):
    waiting, running = held
    browser = browser_of(agent)
    form = {waiting.public_id: f"person-{colleague.pk}", running.public_id: "keep", "note": "Printer again"}
    assert browser.post(ASKED, form).headers["Location"] == "/accounts/login/"
    assert is_out(browser)
    assert holders(*held) == [colleague, agent]
    assert waiting.entries.last().detail == "Joss Imre: Printer again"
    kinds = [event.kind for event in Event.objects.order_by("-seq")[:2]]
    assert kinds == ["signout", "invitation.hand_over"]


def test_the_queue_and_a_team_are_choices_as_well(agent, browser_of, held):
    team = Team.objects.create(name="Second line")
    waiting, running = held
    browser_of(agent).post(ASKED, {waiting.public_id: "queue", running.public_id: f"team-{team.pk}"})
    assert holders(*held) == [None, None]
    assert Invitation.objects.get(pk=running.pk).team == team


def test_a_client_who_came_meanwhile_is_asked_about(agent, browser_of, held):
    waiting, running = held
    browser = browser_of(agent)
    answer = browser.post(ASKED, {waiting.public_id: "queue"})
    assert answer.status_code == 422
    assert not is_out(browser)
    assert holders(*held) == [agent, agent]
    answer = browser.post(ASKED, {waiting.public_id: "queue", running.public_id: "person-0"})
    assert "cannot be chosen any more" in text(answer)


def test_what_is_not_the_person_s_any_more_is_left_alone(agent, colleague, lead, browser_of, held, monkeypatch):
    waiting, running = held

    def meanwhile(self, by):
        claims.claim(invitation=known(waiting.vendor_id), by=colleague, take_over=str(agent.pk))
        User.objects.get(pk=lead.pk).groups.clear()
        return carry_out(self, by)

    from invitations.sign_out import SignOutForm

    carry_out = SignOutForm.carry_out
    monkeypatch.setattr(SignOutForm, "carry_out", meanwhile)
    browser = browser_of(agent)
    browser.post(ASKED, {waiting.public_id: "queue", running.public_id: f"person-{lead.pk}"})
    assert is_out(browser)
    assert holders(*held) == [colleague, None], "nobody gets what they cannot serve"


def test_a_log_that_cannot_be_written_keeps_nobody_signed_in(agent, browser_of, held, monkeypatch):
    def full(*args, **kwargs):
        raise audit.Unavailable("disk full")

    browser = browser_of(agent)
    with monkeypatch.context() as patch:
        patch.setattr("portal.audit.appending.add", full)
        browser.post(ASKED, {row.public_id: "queue" for row in held})
    assert is_out(browser)
    assert holders(*held) == [agent, agent]


def test_a_session_without_its_second_factor_decides_nothing(agent, browser_of, held, settings):
    settings.REQUIRE_MFA = "everyone"
    browser = browser_of(agent)
    assert browser.post(ASKED, {row.public_id: "queue" for row in held}).status_code == 302
    assert holders(*held) == [agent, agent]
    browser.post(OUT)
    assert is_out(browser)


def test_closed_clients_are_no_question(agent, browser_of, held):
    Invitation.objects.update(status=Status.CLOSED, closed_at="2026-01-01T00:00Z")
    assert browser_of(agent).get(OUT).status_code == 200
