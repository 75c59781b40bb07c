"""Teams in the administration: who is in them and who leads, from either side, and every change an event."""

import re

import pytest

from invitations.models import Invitation, Policy, Snapshot
from portal.accounts import roles
from portal.accounts.memberships import places, write
from portal.accounts.models import Membership, Team, User
from portal.audit.models import Event
from tests.conftest import Browser

LIST = "/admin/accounts/team/"


@pytest.fixture
def office(admin, browser_of, vendor) -> Browser:
    return browser_of(admin)


@pytest.fixture
def team(db) -> Team:
    return Team.objects.create(name="First line")


def page_of(team, tail="change"):
    return f"{LIST}{team.pk}/{tail}/"


def form(*members, leads=(), name="First line", offered=None):
    everybody = User.objects.values_list("pk", flat=True) if offered is None else [user.pk for user in offered]
    return {
        "name": name,
        "members_offered": ",".join(map(str, everybody)),
        "members": [user.pk for user in members],
        "members_lead": [user.pk for user in leads],
    }


def who(team):
    return dict(Membership.objects.filter(team=team).values_list("user__username", "is_lead"))


def last(kind):
    return Event.objects.filter(kind=kind).first()


def test_adding_a_team_with_its_people(office, admin, agent, colleague):
    assert office.post(f"{LIST}add/", form(agent, leads=[colleague], name="  Second \n line ")).status_code == 302
    team = Team.objects.get()
    assert (team.name, who(team)) == ("Second line", {"agent": False, "colleague": True})
    event = last("team.added")
    assert (event.actor_id, event.target, event.target_label) == (admin.pk, f"team:{team.pk}", "Second line")
    assert event.facts == {
        "fields": ["leads", "members", "name"],
        "joined": [agent.pk, colleague.pk],
        "led": [colleague.pk],
    }
    assert event.details["changes"]["members"] == [[], ["Joss Imre (colleague)", "Mika Lind (agent)"]]


def test_a_change_says_who_came_went_and_leads(office, team, agent, colleague, lead):
    write("user", {agent.pk: False, colleague.pk: True}, team=team)
    before = Snapshot.load().revision
    assert office.post(page_of(team), form(agent, lead, leads=[agent])).status_code == 302
    assert who(team) == {"agent": True, "lead": False}
    event = last("team.members_changed")
    assert event.facts == {
        "fields": ["leads", "members"],
        "joined": [lead.pk],
        "left": [colleague.pk],
        "led": [agent.pk],
    }
    assert event.details["changes"]["leads"] == [["Joss Imre (colleague)"], ["Mika Lind (agent)"]]
    assert Snapshot.load().revision > before, "boards are told"
    assert not Event.objects.filter(kind="team.changed").exists()


def test_a_new_name_is_an_event_of_its_own_and_nothing_changed_is_none(office, team, agent):
    office.post(page_of(team), form())
    assert not Event.objects.exists()
    office.post(page_of(team), form(name="1st line"))
    assert last("team.changed").details["changes"] == {"name": ["First line", "1st line"]}
    assert not Event.objects.filter(kind="team.members_changed").exists()


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "x" * 61, "FIRST LINE", "a\x00b"])
def test_names_are_visible_short_and_unlike_others(office, team, name):
    assert office.post(f"{LIST}add/", form(name=name)).status_code == 200
    assert Team.objects.count() == 1


def test_who_was_not_offered_stays_as_they_are(office, team, agent, colleague, make_person):
    root = make_person("rut", is_superuser=True)
    write("user", {agent.pk: False, root.pk: True}, team=team)
    page = office.get(page_of(team)).content.decode()
    assert "rut" not in page, "administrators do not see superusers"
    office.post(page_of(team), form(colleague, offered=[colleague]))
    assert who(team) == {"agent": False, "rut": True, "colleague": False}
    for offered in ([root], [root, agent]):
        answer = office.post(page_of(team), form(offered=offered))
        assert answer.status_code == 200
        assert b"The list has changed in the meantime" in answer.content
    assert who(team) == {"agent": False, "rut": True, "colleague": False}
    office.post(page_of(team), {"name": "First line"})
    assert who(team) == {"agent": False, "rut": True, "colleague": False}


@pytest.mark.parametrize("number", ["x", "-1", "²", "9" * 40, "4711", ""])
def test_what_is_nobody_is_nobody(office, team, agent, number):
    answer = office.post(page_of(team), {"name": "First line", "members_offered": number, "members": number})
    assert answer.status_code in (200, 302)
    assert who(team) == {}


def test_who_has_left_can_be_taken_out_and_is_not_offered(office, team, agent, colleague):
    write("user", {agent.pk: False}, team=team)
    User.objects.filter(pk__in=[agent.pk, colleague.pk]).update(is_active=False)
    page = office.get(page_of(team)).content.decode()
    assert "Mika Lind" in page
    assert "Joss Imre" not in page


def test_hundreds_of_people_fit(office, team):
    people = User.objects.bulk_create(User(username=f"person{number}") for number in range(300))
    page = office.get(page_of(team)).content.decode()
    assert page.count('name="members"') == 301
    assert office.post(page_of(team), form(*people, leads=people[:9], offered=people)).status_code == 302
    assert len(who(team)) == 300
    assert office.get(LIST).status_code == 200


def test_the_list_says_how_many_and_who_leads(office, team, agent, colleague, django_assert_max_num_queries):
    write("user", {agent.pk: True, colleague.pk: False}, team=team)
    for number in range(20):
        write("user", {agent.pk: True}, team=Team.objects.create(name=f"Team {number}"))
    Policy.load()  # there from the start
    with django_assert_max_num_queries(12):
        page = office.get(LIST).content.decode()
    assert page.count("Mika Lind") == 21
    assert ">2</td>" in page
    Membership.objects.all().delete()
    assert ">Nobody<" in office.get(LIST).content.decode()


def test_before_one_is_deleted_its_page_says_what_becomes_of_its_invitations(office, team, agent, vendor, look):
    for _ in range(3):
        vendor.add("Tilda", status=1)
    look()
    Invitation.objects.update(team=team)
    Policy.load()
    write("user", {agent.pk: False}, team=team)
    page = " ".join(office.get(page_of(team, "delete")).content.decode().split())
    assert "Its invitations (3 open, 0 closed) then belong to no team" in page
    assert "The 1 person in it keeps the account" in page
    assert "Private ones stay" not in page
    Policy.objects.update(is_private_allowed=True)
    assert b"Private ones stay" in office.get(page_of(team, "delete")).content
    before = Snapshot.load().revision
    assert office.post(page_of(team, "delete"), {"post": "yes"}).status_code == 302
    assert set(Invitation.objects.values_list("team", flat=True)) == {None}
    assert not Membership.objects.exists()
    assert last("team.deleted").target_label == "First line"
    assert Snapshot.load().revision > before


# --- From a person's side ------------------------------------------------------------------------------------------


def person_page(user):
    return f"/admin/accounts/user/{user.pk}/change/"


def person_form(user, **changes):
    fields = {"username": user.username, "email": user.email, "first_name": "Mika", "last_name": "Lind"}
    groups = [str(pk) for pk in user.groups.values_list("pk", flat=True)]
    return fields | {"is_active": "on", "groups": groups} | changes


def test_without_teams_the_page_of_a_person_is_as_it_was(office, agent):
    assert b"memberships" not in office.get(person_page(agent)).content
    assert office.post(person_page(agent), person_form(agent)).status_code == 302
    assert b"memberships" not in office.get("/admin/accounts/user/add/").content


def test_a_person_s_teams_on_their_page(office, team, agent, admin):
    other = Team.objects.create(name="Night")
    write("team", {team.pk: True}, user=agent)
    page = office.get(person_page(agent)).content.decode()
    assert len(re.findall(r'name="memberships(?:_lead)?"[^>]* checked', page)) == 2
    sent = {"memberships_offered": f"{team.pk},{other.pk}", "memberships": [other.pk]}
    assert office.post(person_page(agent), person_form(agent, **sent)).status_code == 302
    assert agent.teams_led() == {other.pk: False}
    event = last("user.teams_changed")
    assert (event.actor_id, event.target) == (admin.pk, f"user:{agent.pk}")
    assert event.facts == {"fields": ["teams", "teams_led"], "joined": [other.pk], "left": [team.pk], "led": []}
    assert event.details["changes"] == {"teams": [["First line"], ["Night"]], "teams_led": [["First line"], []]}
    assert Event.objects.count() == 1
    office.post(person_page(agent), person_form(agent))
    assert agent.teams_led() == {other.pk: False}, "a page that did not offer them takes none away"


def test_an_import_puts_people_into_teams(office, team):
    text = "username;roles;teams\nnia;Agent;first LINE|Night\nbo;Agent;First line\n"
    url = "/admin/accounts/user/import/"
    assert "There is no team “Night”." in office.post(url, {"text": text, "step": "all"}).content.decode()
    assert not who(team)
    Team.objects.create(name="Night")
    assert b"Teams</th>" in office.post(url, {"text": text}).content
    office.post(url, {"text": text, "step": "all"})
    assert who(team) == {"nia": False, "bo": False}
    told = Event.objects.filter(kind="user.created").order_by("seq").first()
    assert told.details["changes"]["teams"] == [None, ["First line", "Night"]]
    assert told.facts["joined"] == sorted(Team.objects.values_list("pk", flat=True))


def test_only_administrators_have_teams_to_change(team, agent, lead, auditor, browser_of, vendor):
    write("user", {lead.pk: True}, team=team)
    for person in (agent, lead, auditor):
        assert browser_of(person).get(LIST).status_code == 403
        assert browser_of(person).post(page_of(team), form(agent)).status_code == 403
    assert places("user", [agent.pk, lead.pk], team=team) == {agent.pk: None, lead.pk: True}


def test_teams_are_read_with_the_person(team, make_person, browser_of, vendor):
    """As every request does, in the same query; and as it is now where they were loaded otherwise."""
    other = Team.objects.create(name="Night")
    person = make_person("nia", roles.AGENT)
    write("team", {team.pk: True, other.pk: False}, user=person)
    loaded = browser_of(person).get("/").wsgi_request.user
    assert loaded.teams_led() == person.teams_led() == {team.pk: True, other.pk: False}
    write("team", {team.pk: None, other.pk: None}, user=person)
    assert person.teams_led() == {}
    assert loaded.teams_led() == {team.pk: True, other.pk: False}, "within a request they stay"
    assert browser_of(person).get("/").wsgi_request.user.teams_led() == {}
