"""Two people of two teams: each sees their own clients, also while a team is taken away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

PICTURES = os.environ.get("PICTURES")
IN_TEAM = """INSERT INTO accounts_membership (user_id, team_id, is_lead)
    SELECT u.id, t.id, ? FROM accounts_user u, accounts_team t WHERE u.username = ? AND t.name = ?"""


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def told(portal):
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")


@pytest.fixture
def teams(portal):
    """The agent in the first team and the lead in the second, each seeing their own team's."""
    for name in ("First line", "Second line"):
        portal.ask("INSERT INTO accounts_team (name) VALUES (?)", name)
    portal.ask(IN_TEAM, "0", "agent", "First line")
    portal.ask(IN_TEAM, "1", "lead", "Second line")
    portal.set_policy(visibility="teams", is_private_allowed="1")
    yield
    portal.set_policy(visibility="everyone", is_private_allowed="0")
    portal.ask("UPDATE invitations_invitation SET team_id = NULL")
    portal.ask("UPDATE invitations_operation SET team_id = NULL")
    for table in ("membership", "team"):
        portal.ask(f"DELETE FROM accounts_{table}")
    told(portal)


def test_each_of_two_people_sees_the_clients_of_their_team(open_page, portal, teams, reports):
    agent, lead = open_page("agent"), open_page("lead", width=390, theme="dark")
    agent.goto("/invitations/new/")
    agent.locator("[name=client_name]").fill("Tilda Brandt")
    agent.get_by_role("button", name="Create invitation").click()
    agent.locator(".code-plate").wait_for()
    lead.goto("/invitations/new/")
    lead.locator("[name=client_name]").fill("Bo Quillmere")
    lead.get_by_label("Private: only you and leads see it").check()
    picture(lead, "new")
    lead.get_by_role("button", name="Create invitation").click()
    lead.locator(".code-plate").wait_for()
    address, theirs = agent.url, lead.url
    for page, own, foreign in ((agent, "Tilda Brandt", "Bo Quillmere"), (lead, "Bo Quillmere", "Tilda Brandt")):
        page.goto("/")
        expect(page.get_by_role("link", name=own)).to_be_visible()
        expect(page.get_by_role("link", name=foreign)).to_have_count(0)
    expect(lead.locator(".row").get_by_text("private", exact=True)).to_be_visible()
    picture(lead, "board")
    reports.expect(404)
    agent.goto(theirs)
    expect(agent.get_by_text("It may belong to a team that you are not in")).to_be_visible()
    # A team given: their clients come with the next poll. The private one stays its lead's.
    agent.goto("/")
    portal.ask(IN_TEAM, "0", "lead", "First line")
    told(portal)
    expect(lead.get_by_role("link", name="Tilda Brandt")).to_be_visible()
    # And taken away: the page that shows one of them ends by itself.
    lead.goto(address)
    expect(lead.get_by_role("heading", name="Tilda Brandt")).to_be_visible()
    portal.ask("DELETE FROM accounts_membership WHERE is_lead = 0 AND team_id IN (SELECT MIN(id) FROM accounts_team)")
    told(portal)
    expect(lead.get_by_text("It may belong to a team that you are not in")).to_be_visible()
    picture(lead, "ended")


def test_an_administrator_puts_people_into_a_team_on_a_phone(open_page, portal, teams):
    page = open_page("admin", "/admin/accounts/team/", width=390, theme="dark")
    picture(page, "teams")
    page.get_by_role("link", name="Second line").click()
    found = page.get_by_label("Show only")
    found.fill("AGENT")
    shown = page.locator("#members-rows tr:visible")
    expect(shown).to_have_count(1)
    shown.get_by_role("checkbox").first.check()
    found.press("Enter")
    found.fill("")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "team")
    page.locator("[name=_save]").click()
    page.get_by_text("was changed successfully").wait_for()
    second = "SELECT id FROM accounts_team WHERE name = 'Second line'"
    assert portal.ask(f"SELECT COUNT(*) FROM accounts_membership WHERE team_id = ({second})") == [(2,)]
    page.get_by_role("link", name="Second line").first.click()
    page.locator(".deletelink").click()
    expect(page.get_by_text("then belong to no team")).to_be_visible()
    picture(page, "delete")
