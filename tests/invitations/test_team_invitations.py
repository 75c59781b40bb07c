"""Whose an invitation is: chosen when it is created, shown on the board, and told in the audit log."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import PermissionDenied

from invitations import actions, adoption, unsettled
from invitations.models import Invitation, Operation, sight_of
from portal import audit
from portal.accounts.models import Membership, Team, User
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError
from tests.invitations.crew import clients_in, decide, signed_in, text_of

# --- What nobody knows whether it happened, and the audit log ------------------------------------------------------


def attempt(by: User, name: str, **about) -> Operation:
    told = {"reference": f"ref-{name}", "verb": "create", "state": "unknown", "client_name": name, "account": ""}
    return Operation.objects.create(by=by, **told | about)


def test_attempts_without_an_outcome_name_nobody_else_s_clients(world):
    decide("teams", is_private_allowed=True)
    first, maker = world.teams["first"], world.people["maker"]
    attempt(maker, "team’s", team=first)
    attempt(maker, "private", team=first, is_private=True)
    attempt(maker, "everybody’s")
    hidden = next(t.row for t in world.things if t.team == "second" and t.is_private and not t.holder and not t.maker)
    attempt(maker, "close", verb="close", invitation=hidden)
    seen = {
        "maker": {"team’s", "private", "everybody’s"},
        "head": {"team’s", "private", "everybody’s"},
        "mate": {"team’s", "everybody’s"},
        "elsewhere": {"everybody’s"},
        "head elsewhere": {"everybody’s", hidden.client_name},
        "auditor": {"team’s", "private", "everybody’s", hidden.client_name},
    }
    for name, expected in seen.items():
        shown = unsettled.on_board(sight_of(world.people[name]))
        assert {line.name for line in shown.lines} == expected, name


def events_of(user: User) -> set[int]:
    return set(Event.objects.visible_to(user).values_list("seq", flat=True))


@pytest.fixture
def told(world):
    """One event of each of these people, and one of the portal's."""
    found = {name: audit.record("signout", actor=world.people[name]).seq for name in ("mate", "manager", "elsewhere")}
    return found | {"portal": audit.record("system.started").seq}


def test_a_lead_s_log_is_that_of_the_people_they_lead(world, told):
    manager, elsewhere = world.people["manager"], world.people["head elsewhere"]
    assert events_of(elsewhere) == {told["elsewhere"]}
    assert events_of(manager) == {told["manager"]}, "somebody else leads the first team"
    Membership.objects.filter(team=world.teams["first"]).update(is_lead=False)
    assert events_of(manager) == {told["mate"], told["manager"]}, "a team that nobody leads is its people's"
    page = text_of(signed_in(manager).get("/audit/"))
    assert f">{world.people['mate'].display_name}<" in page
    assert f">{world.people['elsewhere'].display_name}<" not in page, "not even to choose"
    assert signed_in(manager).get(f"/audit/{told['elsewhere']}/").status_code == 404
    assert events_of(world.people["mate"]) == {told["mate"]}
    assert events_of(world.people["auditor"]) >= set(told.values())


def test_without_teams_all_are_one_team(world, told):
    Team.objects.all().delete()
    assert events_of(world.people["manager"]) >= set(told.values())


def test_a_lead_s_log_leaves_out_what_they_may_not_see(world, vendor, browser_of):
    """An agent of two teams makes a private invitation in the other one: its client's name stays there."""
    decide(is_private_allowed=True)
    lead, both = world.people["head elsewhere"], world.people["elsewhere"]
    Membership.objects.create(user=both, team=world.teams["first"])
    row = actions.create(by=both, client_name="Quillmere", team=world.teams["first"].pk, is_private=True)
    assert Event.objects.filter(kind="invitation.create").count() == 2
    for user in (lead, world.people["manager"]):
        assert not Event.objects.visible_to(user).filter(kind="invitation.create").exists()
        assert "Quillmere" not in text_of(browser_of(user).get("/audit/"))
    assert Event.objects.visible_to(both).filter(kind="invitation.create").count() == 2, "one's own stay"
    actions.save(row, team=world.teams["second"])
    assert Event.objects.visible_to(lead).filter(kind="invitation.create").count() == 2


# --- Creating ------------------------------------------------------------------------------------------------------

NEW = "/invitations/new/"


def made() -> Invitation:
    return Invitation.objects.latest("pk")


def test_without_teams_the_form_is_as_it_was(agent, browser_of, vendor, look):
    look()
    page = text_of(browser_of(agent).get(NEW))
    assert 'name="team"' not in page
    assert "is_private" not in page
    browser_of(agent).post(NEW, {"client_name": "Tilda"})
    assert made().team is None
    board = text_of(browser_of(agent).get("/"))
    assert "All teams" not in board
    assert "of-team" not in board


def test_an_invitation_belongs_to_the_only_team_of_its_creator(world, vendor):
    browser = signed_in(world.people["mate"])
    assert f'type="hidden" name="team" value="{world.teams["first"].pk}"' in text_of(browser.get(NEW))
    browser.post(NEW, {"client_name": "Tilda"})
    assert made().team == world.teams["first"]
    event = Event.objects.filter(kind="invitation.create", phase="intent").get()
    assert (event.facts, event.details["team"]) == ({"team": world.teams["first"].pk}, "first")


def test_of_several_the_one_used_last_is_chosen_unless_a_link_names_another(world, vendor):
    user, (first, second) = world.people["mate"], (world.teams["first"].pk, world.teams["second"].pk)
    Membership.objects.create(user=user, team_id=second)
    browser = signed_in(user)
    chosen = re.compile(r'<option value="(\d+)" selected>')
    assert chosen.findall(text_of(browser.get(NEW))) == [str(first)]
    browser.post(NEW, {"client_name": "Tilda", "team": second})
    assert made().team_id == second
    assert chosen.findall(text_of(browser.get(NEW))) == [str(second)]
    for text, expected in {"FIRST": first, str(first): first, "nowhere": second, "\x00": second}.items():
        assert chosen.findall(text_of(browser.get(NEW, {"team": text}))) == [str(expected)]
    actions.create(by=user, client_name="Bo")
    assert made().team_id == second


def test_nobody_creates_for_a_team_they_are_not_in(world, vendor):
    with pytest.raises(PermissionDenied):
        actions.create(by=world.people["mate"], team=world.teams["second"].pk)
    with pytest.raises(PermissionDenied):
        actions.create(by=world.people["mate"], is_private=True)
    assert not vendor.rows()


@pytest.mark.parametrize("left", [[], ["second"], ["second", "third"]])
def test_a_team_lost_while_the_form_was_open_keeps_what_was_typed(world, vendor, left):
    user, browser = world.people["mate"], signed_in(world.people["mate"])
    world.teams["third"] = Team.objects.create(name="third")
    Membership.objects.filter(user=user).delete()
    for name in left:
        Membership.objects.create(user=user, team=world.teams[name])
    form = {"client_name": "Tilda", "team": str(world.teams["first"].pk)}
    answer = browser.post(NEW, form)
    page = text_of(answer)
    assert answer.status_code == 422
    assert 'value="Tilda"' in page
    assert "any more, so nothing was created" in page
    assert ('<option value="' in page) == bool(left), "and one sees which team it would be"
    assert not vendor.rows()
    again = {"client_name": "Tilda"} | ({"team": str(world.teams[left[-1]].pk)} if left else {})
    assert browser.post(NEW, again).status_code == 302
    assert made().team == (world.teams[left[-1]] if left else None)


def test_private_is_offered_and_kept_where_the_policy_allows_it(world, vendor):
    browser = signed_in(world.people["mate"])
    answer = browser.post(NEW, {"client_name": "Tilda", "is_private": "on"})
    assert answer.status_code == 422
    assert "Private invitations are switched off" in text_of(answer)
    assert not vendor.rows()
    decide(is_private_allowed=True)
    assert 'name="is_private"' in text_of(browser.get(NEW))
    browser.post(NEW, {"client_name": "Tilda", "is_private": "on"})
    assert made().is_private
    assert "private" in text_of(browser.get(f"/invitations/{made().public_id}/"))
    assert signed_in(world.people["manager"]).get(f"/invitations/{made().public_id}/").status_code == 404
    assert signed_in(world.people["head"]).get(f"/invitations/{made().public_id}/").status_code == 200


def test_a_create_whose_answer_was_lost_stays_its_team_s_and_private(world, vendor, look):
    decide(is_private_allowed=True)
    vendor.fail("create", "hang_after")
    vendor.fail("list", "status_502", times=None)
    with pytest.raises(GetscreenError):
        actions.create(by=world.people["mate"], client_name="Tilda", is_private=True)
    vendor.clear()
    look()
    assert (made().client_name, made().team, made().is_private) == ("Tilda", world.teams["first"], True)


def test_a_team_deleted_while_the_vendor_thinks_loses_no_invitation(world, vendor, monkeypatch):
    own = adoption.own

    def delete_first(op, remote):
        world.teams["first"].delete()
        return own(op, remote)

    monkeypatch.setattr(adoption, "own", delete_first)
    assert actions.create(by=world.people["mate"], client_name="Tilda").team is None
    assert Operation.objects.get().state == Operation.State.OK


# --- The board -----------------------------------------------------------------------------------------------------


def test_who_is_in_several_teams_may_look_at_one_of_them(world):
    decide("teams")
    user = world.people["mate"]
    Membership.objects.create(user=user, team=world.teams["second"])
    browser, second = signed_in(user), world.teams["second"].pk
    page = text_of(browser.get("/"))
    assert f'href="/?team={second}"' in page
    assert 'class="of-team"' in page
    expected = {t.row.client_name for t in world.things if t.team == "second"}
    shown = text_of(browser.get("/", {"team": second}))
    assert clients_in(shown) == expected
    assert f"/board/rows/?team={second}" in shown
    assert clients_in(text_of(browser.get("/board/rows/", {"team": second}))) == expected
    assert len(clients_in(text_of(browser.get("/", {"team": second, "q": "client10"})))) == len(expected)


@pytest.mark.parametrize("text", ["x", "-1", "²", "9" * 30, "4711"])
def test_a_team_one_is_not_in_is_no_filter(world, text):
    decide("teams")
    browser = signed_in(world.people["mate"])
    assert clients_in(text_of(browser.get("/", {"team": text}))) == clients_in(text_of(browser.get("/")))
    assert "All teams" not in text_of(browser.get("/")), "of one team there is no choice"
    foreign = browser.get("/", {"team": world.teams["second"].pk})
    assert clients_in(text_of(foreign)) == clients_in(text_of(browser.get("/")))


def test_who_sees_everything_may_look_at_any_team(world):
    decide("teams")
    page = text_of(signed_in(world.people["auditor"]).get("/", {"team": world.teams["first"].pk}))
    assert clients_in(page) == {t.row.client_name for t in world.things if t.team == "first"}


def test_with_one_team_rows_do_not_name_it(world):
    world.teams["second"].delete()
    browser = signed_in(world.people["mate"])
    assert 'class="of-team"' not in text_of(browser.get("/"))
    row = next(t.row for t in world.things if t.team == "first")
    assert "<dt>Team</dt>" not in text_of(browser.get(f"/invitations/{row.public_id}/"))


def test_the_administration_s_list_has_every_invitation(world):
    decide("teams", is_private_allowed=True)
    page = text_of(signed_in(world.people["admin"]).get("/admin/invitations/invitation/"))
    assert clients_in(page) == {t.row.client_name for t in world.things}
