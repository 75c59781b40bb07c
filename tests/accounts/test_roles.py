"""Roles as data: what administrators may change about them, and that nobody rises by it."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission

from portal.accounts import roles
from portal.accounts.models import User
from portal.audit.models import Event

ADD = "/admin/auth/group/add/"
README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def office(admin, browser_of, vendor):
    return browser_of(admin)


def page_of(name, tail="change"):
    return f"/admin/auth/group/{Group.objects.get(name=name).pk}/{tail}/"


def held(name):
    pairs = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {".".join(pair) for pair in pairs}


def last(kind):
    return Event.objects.filter(kind=kind).first()


def test_a_role_of_the_team_s_own_works_on_the_next_request(office, outsider, browser_of):
    assert office.post(ADD, {"name": "Watcher", "actions": [roles.SEE]}).status_code == 302
    browser = browser_of(outsider)
    assert "no role yet" in browser.get("/").content.decode()
    outsider.groups.add(Group.objects.get(name="Watcher"))
    assert browser.get("/").status_code == 200
    refused = browser.get("/invitations/new/")
    assert refused.status_code == 403
    assert "no role yet" not in refused.content.decode()
    assert User.objects.get(pk=outsider.pk).role_names == ["Watcher"]
    assert last("role.added").details["changes"] == {"name": [None, "Watcher"], "actions": [[], [roles.SEE]]}


def test_a_change_of_a_role_says_what_was_and_is_and_holds_on_the_next_request(office, agent, browser_of):
    browser = browser_of(agent)
    assert browser.get("/invitations/new/").status_code == 200
    assert office.post(page_of(roles.AGENT), {"actions": [roles.SEE]}).status_code == 302
    assert browser.get("/invitations/new/").status_code == 403
    assert last("role.changed").details["changes"]["actions"] == [sorted(roles.ROLES[roles.AGENT]), [roles.SEE]]
    assert office.post(page_of(roles.AGENT), {"is_reset": "on"}).status_code == 302
    assert held(roles.AGENT) == roles.ROLES[roles.AGENT]
    assert browser.get("/invitations/new/").status_code == 200


@pytest.mark.parametrize("who", ["admin", "root"])
def test_hostile_forms_give_no_role_more_than_the_list_has(request, make_person, browser_of, vendor, who):
    person = make_person("rut", is_superuser=True) if who == "root" else request.getfixturevalue("admin")
    office = browser_of(person)
    every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    for hostile in (roles.ADMINISTER, "auth.change_group", "accounts.change_user", "invitations.change_policy", "x"):
        answer = office.post(ADD, {"name": "Mine", "actions": [roles.SEE, hostile]})
        assert answer.status_code == 200
        assert office.post(page_of(roles.AGENT), {"actions": [roles.SEE, hostile]}).status_code == 200
    assert not Group.objects.filter(name="Mine").exists()
    form = {"name": "Mine", "actions": [roles.SEE], "permissions": every, "is_reset": "on"}
    assert office.post(ADD, form).status_code == 302
    assert held("Mine") == {roles.SEE}


def test_the_administrator_role_is_fixed(office):
    before = held(roles.ADMINISTRATOR)
    form = {"name": "Mine", "actions": [roles.SEE], "is_reset": "on"}
    assert office.post(page_of(roles.ADMINISTRATOR), form).status_code == 403
    assert office.get(page_of(roles.ADMINISTRATOR)).status_code == 200
    assert held(roles.ADMINISTRATOR) == before


@pytest.mark.parametrize("role", list(roles.ROLES))
def test_built_in_roles_keep_their_names_and_stay(office, role):
    office.post(page_of(role), {"name": "Mine", "actions": [roles.SEE]})
    assert office.post(page_of(role, "delete"), {"post": "yes"}).status_code == 403
    assert set(Group.objects.values_list("name", flat=True)) == set(roles.ROLES)


def test_a_role_that_somebody_has_stays_and_another_goes(office, agent):
    office.post(ADD, {"name": "Watcher", "actions": [roles.SEE]})
    agent.groups.add(Group.objects.get(name="Watcher"))
    assert office.post(page_of("Watcher", "delete"), {"post": "yes"}).status_code == 403
    agent.groups.remove(Group.objects.get(name="Watcher"))
    assert office.post(page_of("Watcher", "delete"), {"post": "yes"}).status_code == 302
    assert not Group.objects.filter(name="Watcher").exists()
    assert last("role.deleted").target_label == "Watcher"


@pytest.mark.parametrize("name", ["administrator", " AGENT ", "x\u202ey", ""])
def test_names_that_could_be_mistaken_are_refused(office, name):
    assert office.post(ADD, {"name": name, "actions": [roles.SEE]}).status_code == 200
    assert Group.objects.count() == len(roles.ROLES)


def test_what_needs_the_board_is_not_given_without_it(office):
    page = office.post(ADD, {"name": "Blind", "actions": [roles.CONNECT]})
    assert "Tick “See the board” as well" in page.content.decode()


def test_the_page_shows_who_may_do_what_and_offers_no_administering(office):
    table = office.get("/admin/auth/group/").content.decode().split("who-may-do-what")[1]
    assert "Connect to a client’s desktop" in table
    assert table.count('alt="yes"') == sum(len(held(name) & set(roles.LABELS)) for name in roles.ROLES) + 1
    assert roles.ADMINISTER not in office.get(ADD).content.decode()


def test_the_list_of_actions_leaves_out_what_administers_and_nothing_else():
    administering = {name for name in roles.ROLES[roles.ADMINISTRATOR] if name not in roles.LABELS}
    assert roles.ADMINISTER in administering
    for name in set(roles.ROLES) - {roles.ADMINISTRATOR}:
        assert not roles.ROLES[name] & administering


def test_the_readme_s_table_agrees_with_the_data():
    text = README.read_text(encoding="utf-8").split("## Roles")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)]
    names = lines[0][1:]
    rows = {cells[0]: cells[1:] for cells in lines[2:]}
    assert names == list(roles.ROLES)
    wanted = {
        "board and details": {roles.SEE},
        "create, connect; rename and close own": {roles.CREATE, roles.CONNECT, roles.MANAGE_OWN},
        "rename, close, hand over others'": {roles.MANAGE_ANY},
        "people, roles, policies": {roles.ADMINISTER},
    }
    for row, needed in wanted.items():
        found = [cell.startswith("✓") for cell in rows[row]]
        assert found == [needed <= roles.ROLES[name] for name in names], row
    scopes = {"own actions": roles.AUDIT_OWN, "team's": roles.AUDIT_TEAM, "all": roles.AUDIT_ALL}
    assert all(scopes[cell] in roles.ROLES[name] for cell, name in zip(rows["audit log"], names, strict=True))
    bare = [cell.endswith("without codes, links, pictures") for cell in rows["board and details"]]
    assert bare == [roles.SEE_CODES not in roles.ROLES[name] for name in names]
