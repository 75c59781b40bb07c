"""Who sees which invitation, at every address that shows one: written down a second time, and compared.

The portal decides it in `invitations.models.sight`. `should_see` says it again in plain words, and every reader
is asked by everybody under every policy.
"""

from __future__ import annotations

import threading

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invitations import actions
from invitations import board as whole_board
from invitations.board import Board, boards
from invitations.context import health
from invitations.models import Invitation, Operation, Policy, Snapshot, Status, sight_of
from portal.accounts import memberships
from portal.accounts.backend import people
from portal.accounts.models import Team
from tests.invitations.crew import POLICIES, clients_in, decide, should_see, signed_in, text_of


@pytest.mark.parametrize(("visibility", "is_private_allowed"), POLICIES)
def test_everybody_sees_what_the_policy_says(world, visibility, is_private_allowed):
    decide(visibility, is_private_allowed)
    for name, user in world.people.items():
        expected = {t.row.pk for t in world.things if should_see(name, t, visibility, is_private_allowed)}
        for person in (user, signed_in(user).get("/").wsgi_request.user):  # with teams read on their own, and along
            assert set(Invitation.objects.visible_to(person).values_list("pk", flat=True)) == expected, name
            if name != "nobody":  # whose role shows no board, whatever the policy says
                sight = sight_of(person)
                assert {t.row.pk for t in world.things if sight.covers(t.row)} == expected, name


@pytest.mark.parametrize(("visibility", "is_private_allowed"), POLICIES)
def test_every_list_shows_that_and_nothing_else(world, visibility, is_private_allowed):
    decide(visibility, is_private_allowed)
    for name in ("mate", "head", "elsewhere", "head elsewhere", "holder", "alone", "auditor"):
        browser = signed_in(world.people[name])
        seen = [t for t in world.things if should_see(name, t, visibility, is_private_allowed)]
        everything = {t.row.client_name for t in seen}
        closed = {t.row.client_name for t in seen if t.row.status == Status.CLOSED}
        waiting = [t for t in seen if t.row.status == Status.JOINED and t.holder in (None, name)]
        for path, expected in {
            "/": everything,
            "/board/rows/": everything,
            "/?q=client": everything,
            "/history/": closed,
            "/history/?q=client": closed,
        }.items():
            assert clients_in(text_of(browser.get(path))) == expected, (name, path)
        assert clients_in(text_of(browser.post("/history/export/"))) == closed, name
        called = browser.get("/board/waiting/").json()
        assert called["needs"] == len(waiting), name
        assert {one["name"] for one in called["joined"]} <= {t.row.client_name for t in waiting}, name
        request = browser.get("/").wsgi_request
        counted = Board(
            user=world.people[name],
            query=request.GET,
            snapshot=Snapshot.load(),
            policy=Policy.load,
            health=health(request),
        )
        assert counted.counts["all"] == len(seen), name


READERS = {
    "": "GET",
    "live/": "GET",
    "qr/": "GET",
    "preview/": "GET",
    "rename/": "GET",
    "close/": "GET",
    "copied/": "POST",
    "evidence/": "POST",
    "connect/": "POST",
    "rename/ ": "POST",
    "close/ ": "POST",
}


@pytest.mark.parametrize(("visibility", "is_private_allowed"), POLICIES)
def test_what_one_may_not_see_is_404_at_every_address_and_leaves_nothing(world, vendor, visibility, is_private_allowed):
    decide(visibility, is_private_allowed)
    before = list(Invitation.objects.order_by("pk").values())
    tried = 0
    for name in ("mate", "elsewhere", "head elsewhere", "manager"):
        browser = signed_in(world.people[name])
        unseen = [t for t in world.things if not should_see(name, t, visibility, is_private_allowed)]
        for thing in unseen[::9]:
            for part, method in READERS.items():
                path = f"/invitations/{thing.row.public_id}/{part.strip()}"
                answer = browser.generic(method, path, "what=code", "application/x-www-form-urlencoded")
                # A right that somebody lacks altogether says nothing of the invitation.
                lacks = part.startswith("evidence")
                assert answer.status_code == (403 if lacks else 404), (name, path)
                assert not clients_in(text_of(answer)), (name, path)
                tried += 1
    assert bool(tried) == (visibility == "teams" or is_private_allowed)
    assert not vendor.ledger.requests
    assert list(Invitation.objects.order_by("pk").values()) == before


def test_the_page_in_its_place_says_why_and_no_more_than_of_one_that_does_not_exist(world):
    decide("teams")
    browser = signed_in(world.people["elsewhere"])
    hidden = next(t.row for t in world.things if t.team == "first" and not t.holder)
    pages = [text_of(browser.get(f"/invitations/{one}/")) for one in (hidden.public_id, "nothing-there")]
    assert "It may belong to a team that you are not in" in pages[0]
    main = [page[page.index("<main") : page.index("</main>")] for page in pages]
    assert main[0] == main[1]
    decide("everyone")
    assert "team" not in text_of(browser.get("/invitations/nothing-there/")), "without teams nothing is said of them"


# --- Sharing, and 304 ----------------------------------------------------------------------------------------------


def poll(browser, path="/board/rows/", tag=""):
    return browser.get(path, headers={"HX-Request": "true", "HX-PTag": tag} if tag else {"HX-Request": "true"})


@pytest.mark.parametrize(("visibility", "is_private_allowed"), POLICIES[1:])
def test_two_people_in_turn_never_get_a_row_of_the_other(world, visibility, is_private_allowed):
    """Threat T34. Between them the rows change, so that both get 200 and 304, and renderings that are kept."""
    decide(visibility, is_private_allowed)
    names = ("head", "elsewhere")
    browsers = {name: signed_in(world.people[name]) for name in names}
    own = {
        name: {t.row.client_name for t in world.things if should_see(name, t, visibility, is_private_allowed)}
        for name in names
    }
    assert own["head"] != own["elsewhere"]
    tags, statuses = dict.fromkeys(names, ""), []
    for number in range(60):
        for name in names if number % 2 else reversed(names):
            answer = poll(browsers[name], tag=tags[name])
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                assert clients_in(text_of(answer)) == own[name]
                tags[name] = answer.headers["HX-PTag"]
            else:
                # Another's tag is not taken for one's own.
                foreign = poll(browsers[name], tag=tags[next(each for each in names if each != name)])
                assert clients_in(text_of(foreign)) == own[name]
        if number % 20 == 0:
            Snapshot.bump()
    assert {200, 304} == set(statuses)
    assert tags["head"] != tags["elsewhere"]


def test_two_people_at_once_never_get_a_row_of_the_other(world):
    """Threat T34 again: renderings are kept for the whole process, so both ask for theirs in one."""
    decide("teams", is_private_allowed=True)
    snapshot, policy, found = Snapshot.load(), Policy.load(), []
    request = signed_in(world.people["mate"]).get("/").wsgi_request

    def of(name: str) -> Board:
        return Board(
            user=world.people[name],
            query=request.GET,
            snapshot=snapshot,
            policy=lambda: policy,
            health=health(request),
        )

    rendered = {name: of(name).html for name in ("mate", "elsewhere", "head", "alone")}
    shown = [of(name) for name in rendered] * 25

    def ask(board: Board) -> None:
        found.append((board.user.username, board.html))

    crowd = [threading.Thread(target=ask, args=(board,)) for board in shown]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert len(found) == 100
    assert all(clients_in(html) == clients_in(rendered[name]) for name, html in found)
    assert len({frozenset(clients_in(html)) for html in rendered.values()}) == 4


def test_where_everybody_sees_everything_all_share_one_rendering(world):
    decide()
    whole_board.forget()
    tags = {poll(signed_in(world.people[name])).headers["HX-PTag"] for name in ("maker", "mate", "elsewhere", "alone")}
    assert len(tags) == 1
    assert len(boards._versions) == 1
    decide("teams")
    for name in ("auditor", "admin"):
        facts = sight_of(world.people[name]).facts
        assert facts == (), "who sees everything shares with those who do as well"


@pytest.mark.parametrize("path", ["/board/rows/", "/board/waiting/", "/invitations/{}/live/"])
def test_with_teams_an_unchanged_poll_asks_nothing_more(world, path):
    decide("teams", is_private_allowed=True)
    browser = signed_in(world.people["maker"])
    path = path.format(world.things[0].row.public_id)
    tag = poll(browser, path).headers["HX-PTag"]
    with CaptureQueriesContext(connection) as queries:
        assert poll(browser, path, tag).status_code == 304
    assert len(queries) == 3


def test_the_number_of_queries_is_the_same_for_any_number_of_rows(world):
    decide("teams", is_private_allowed=True)
    browser, counted = signed_in(world.people["mate"]), []
    for number in (2000, 3000):
        for path in ("/", "/history/"):
            with CaptureQueriesContext(connection) as queries:
                browser.get(path)
            counted.append(len(queries))
        for vendor_id in range(number, number + 60):
            world.thing(vendor_id, Snapshot.load().account, "first", False, None, None, Status.JOINED)
        Snapshot.bump()
    assert counted[:2] == counted[2:]
    assert counted[0] <= 10


# --- Changes take effect with the next request ---------------------------------------------------------------------


def test_a_team_taken_away_ends_the_live_page_and_the_board_s_rows(world):
    decide("teams")
    user, browser = world.people["mate"], signed_in(world.people["mate"])
    row = next(t.row for t in world.things if t.team == "first" and t.row.status == Status.JOINED)
    live = f"/invitations/{row.public_id}/live/"
    tags = {path: poll(browser, path).headers["HX-PTag"] for path in (live, "/board/rows/")}
    assert poll(browser, live, tags[live]).status_code == 304
    memberships.write("user", {user.pk: None}, team=world.teams["first"])
    gone = poll(browser, live, tags[live])
    assert gone.headers["HX-Redirect"] == f"/invitations/{row.public_id}/"
    assert browser.get(gone.headers["HX-Redirect"]).status_code == 404
    after = poll(browser, "/board/rows/", tags["/board/rows/"])
    assert after.status_code == 200
    assert row.client_name not in text_of(after)


@pytest.mark.parametrize("change", ["policy", "made private", "handed over", "lead"])
def test_every_other_change_does_as_well(world, change):
    decide("everyone" if change == "policy" else "teams", is_private_allowed=change != "policy")
    name = "head" if change == "lead" else "mate"
    browser = signed_in(world.people[name])
    is_private = change == "lead"
    row = next(
        t.row
        for t in world.things
        if (t.team, t.is_private, t.maker, t.row.status)
        == ("second" if change == "policy" else "first", is_private, None, Status.JOINED)
        and not t.holder
    )
    live = f"/invitations/{row.public_id}/live/"
    tag = poll(browser, live).headers["HX-PTag"]
    match change:
        case "policy":
            decide("teams")
        case "made private":
            actions.save(row, is_private=True)
        case "handed over":
            actions.save(row, team=world.teams["second"])
        case "lead":
            memberships.write("user", {world.people["head"].pk: False}, team=world.teams["first"])
    assert "HX-Redirect" in poll(browser, live, tag).headers
    assert row.client_name not in text_of(browser.get("/"))


def test_a_form_that_was_open_is_refused_with_words_and_nothing_is_lost(world, vendor):
    decide("teams")
    user, browser = world.people["manager"], signed_in(world.people["manager"])
    row = next(t.row for t in world.things if t.team == "first" and t.row.status == Status.JOINED)
    here = f"/invitations/{row.public_id}/"
    assert browser.get(f"{here}rename/").status_code == 200
    memberships.write("user", {user.pk: None}, team=world.teams["first"])
    for part, form in {"rename/": {"client_name": "Other"}, "close/": {}, "connect/": {"token": "x"}}.items():
        answer = browser.post(here + part, form)
        assert answer.status_code == 404
        assert "nothing was done" in text_of(answer)
    assert not vendor.ledger.requests
    assert not Operation.objects.exists()


def client_of_a_team(member, vendor, look):
    """Let a client of the member's own team wait, and return the vendor's number and the team."""
    number = vendor.add("Tilda", status=1)
    look()
    decide("teams")
    team = Team.objects.create(name="first")
    memberships.write("user", {member.pk: False}, team=team)
    Invitation.objects.update(team=team)
    return number, team


def test_who_loses_their_team_just_before_the_intent_connects_to_nobody(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    decide("teams")
    Invitation.objects.update(team=Team.objects.create(name="first"))  # since a page found it
    row = Invitation.objects.get(vendor_id=number)
    with pytest.raises(PermissionDenied, match="may not see this invitation any more"):
        actions.connect(invitation=row, by=agent)
    assert not Operation.objects.exists()
    assert Invitation.objects.get().taken_by is None


@pytest.mark.parametrize("loss", ["team", "role", "account"])
def test_so_does_who_is_taken_out_of_it_after_their_request_began(agent, vendor, look, loss):
    number, team = client_of_a_team(agent, vendor, look)
    asking = people.get(agent.pk)  # as the request has loaded them
    assert asking is not None
    match loss:
        case "team":
            memberships.write("user", {agent.pk: None}, team=team)
        case "role":
            agent.groups.clear()
        case "account":
            type(agent).objects.filter(pk=agent.pk).update(is_active=False)
    with pytest.raises(PermissionDenied, match="may not see this invitation any more"):
        actions.connect(invitation=Invitation.objects.get(vendor_id=number), by=asking)
    assert not Operation.objects.exists()


def test_a_connection_under_way_ends_in_its_outcome(agent, vendor, look, browser_of, monkeypatch):
    """Whoever loses their team while the vendor thinks still gets the link, and nothing after it."""
    number, team = client_of_a_team(agent, vendor, look)
    browser, check = browser_of(agent), actions.check_ready

    def lose(client, invitation):
        memberships.write("user", {agent.pk: None}, team=team)
        check(client, invitation)

    monkeypatch.setattr(actions, "check_ready", lose)
    row = Invitation.objects.get(vendor_id=number)
    assert browser.post(f"/invitations/{row.public_id}/connect/").status_code == 303
    assert Operation.objects.get().state == Operation.State.OK
    row.refresh_from_db()
    assert row.taken_by == agent
    actions.save(row, taken_by=None)
    assert browser.get(f"/invitations/{row.public_id}/").status_code == 404
