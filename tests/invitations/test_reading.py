"""Reading costs what it should: polls, shared fragments, long boards."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invitations import board, fragments, own_actions, rhythm
from invitations.board import PAGE, Board
from invitations.fragments import Kept
from invitations.models import Invitation, Policy, Snapshot, Status
from invitations.presentation import SHOWN, Row
from invitations.rows import save
from portal.accounts import roles
from portal.accounts.access import Access
from portal.audit.models import Event
from tests.conftest import POLICY_LIMITS, Browser, known

HX = {"HX-Request": "true"}
STATUSES = (Status.WAITING, Status.JOINED, Status.ACTIVE, Status.WAITING)


def poll(browser: Browser, tag: str = "", path: str = "/board/rows/", **headers: str) -> Any:
    return browser.get(path, headers=HX | ({"HX-PTag": tag} if tag else {}) | headers)


def fill(size: int, account: str) -> None:
    now = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(
            account=account,
            vendor_id=1_000 + number,
            status=(status := STATUSES[number % 4]),
            code=f"{number:09}",
            client_name=f"Client {number}",
            created_at=now - timedelta(seconds=number),
            joined_at=None if status == Status.WAITING else now - timedelta(seconds=number),
        )
        for number in range(size)
    )
    Snapshot.objects.update(revision=100 + size)


@pytest.fixture(autouse=True)
def policy(db: None) -> Policy:
    """There from the start, as after the first page of an installation."""
    return Policy.load()


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tags of boards that were rendered, not taken from what had been."""
    tags: list[str] = []
    render = Board.render

    def counting(board: Board, part: str) -> str:
        if part == "board":
            tags.append(board.tag)
        return render(board, part)

    monkeypatch.setattr(Board, "render", counting)
    return tags


# --- An unchanged poll ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/board/rows/", "/board/waiting/", "/invitations/{}/live/"])
def test_an_unchanged_poll_asks_one_small_question_beside_the_session(agent, browser_of, vendor, look, path):
    number = vendor.add("Somebody", status=1)
    look()
    path = path.format(known(number).public_id)
    browser = browser_of(agent)
    tag = poll(browser, path=path).headers["HX-PTag"]
    with CaptureQueriesContext(connection) as queries:
        answer = poll(browser, tag, path)
    assert (answer.status_code, answer.content) == (304, b"")
    assert [re.findall(r'FROM "(\w+)"', query["sql"])[-1] for query in queries] == [
        "accounts_session",
        "accounts_user",
        "invitations_snapshot",
    ]
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_a_poll_says_when_the_last_good_list_came(agent, browser_of, look):
    snapshot = look()
    answer = poll(browser_of(agent))
    assert answer.headers["X-Good-At"] == str(int(snapshot.good_at.timestamp()))
    assert poll(browser_of(agent), answer.headers["HX-PTag"]).headers["X-Good-At"] == answer.headers["X-Good-At"]


def test_without_a_good_list_a_poll_gives_no_time(agent, browser_of, vendor):
    assert "X-Good-At" not in poll(browser_of(agent)).headers


def test_a_poll_is_noted_without_writing_and_keeps_no_session_alive(agent, browser_of, look):
    look()
    browser = browser_of(agent)
    expires = browser.session.get_expiry_date()
    before = time.monotonic()
    with CaptureQueriesContext(connection) as queries:
        answer = poll(browser)
    assert rhythm.here.seen_at > before
    assert not [query for query in queries if not query["sql"].startswith("SELECT")]
    assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert browser.session.get_expiry_date() - expires < timedelta(seconds=5)


# --- A rush: many changes in a row ------------------------------------------------------------------


@pytest.fixture
def rush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renderings are never old enough to be made anew for those who can wait."""
    monkeypatch.setattr(fragments, "REST", 1e9)
    monkeypatch.setattr(fragments, "LONGEST_REST", 1e9)


def test_in_a_rush_a_poll_may_show_the_board_of_a_moment_ago(agent, browser_of, vendor, look, rendered, rush):
    number = vendor.add("Somebody", status=1)
    look()
    first = poll(browser_of(agent))
    save(known(number), client_name="Changed")
    answer = poll(browser_of(agent), first.headers["HX-PTag"])
    assert (answer.status_code, answer.headers["HX-PTag"]) == (304, first.headers["HX-PTag"])
    newcomer = poll(browser_of(agent))
    assert (newcomer.content, newcomer.headers["HX-PTag"]) == (first.content, first.headers["HX-PTag"])
    assert len(rendered) == 1


def test_in_a_rush_a_page_is_never_set_back(agent, colleague, browser_of, vendor, look, rush):
    """Whoever has just done something has a page with it, and loses sight of it at no poll."""
    number = vendor.add("Somebody", status=1)
    look()
    poll(browser_of(colleague))
    save(known(number), client_name="Changed")
    tag = re.search(r'hx-ptag="([\w-]+)"', browser_of(agent).get("/").content.decode())[1]
    save(known(number), client_name="Changed again")
    assert poll(browser_of(agent), tag).status_code == 304
    for made_up in ("", "x", "-1-abc", "0-abc", "²-abc", f"{10**30}-abc"):
        answer = poll(browser_of(agent), made_up)
        assert answer.status_code == 200
        assert "Changed" in answer.content.decode()
    later = f"{Snapshot.load().revision}-of-another-tab"
    assert "Changed again" in poll(browser_of(agent), later).content.decode()


def test_a_page_is_of_now_in_a_rush_as_well(agent, browser_of, vendor, look, rush):
    number = vendor.add("Somebody", status=1)
    look()
    browser_of(agent).get("/")
    save(known(number), client_name="Changed")
    assert "Changed" in browser_of(agent).get("/").content.decode()


def test_a_new_list_ends_a_rest(agent, browser_of, vendor, look, rush):
    vendor.add("Somebody", status=1)
    look()
    tag = poll(browser_of(agent)).headers["HX-PTag"]
    vendor.add("Another", status=1)
    look()
    assert "Another" in poll(browser_of(agent), tag).content.decode()


def test_whoever_has_acted_is_given_the_board_as_of_now(agent, colleague, browser_of, vendor, look, rush):
    """Connect opens a page of its own: the board beside it is the one from before."""
    number = vendor.add("Somebody", status=1)
    look()
    mine, theirs = browser_of(agent), browser_of(colleague)
    tags = [poll(browser).headers["HX-PTag"] for browser in (mine, theirs)]
    answer = mine.post(f"/invitations/{known(number).public_id}/connect/", {"token": "a" * 32})
    assert answer.status_code == 303
    cookie = answer.cookies[own_actions.COOKIE]
    assert (cookie["max-age"], cookie["httponly"], cookie["secure"], cookie["samesite"]) == (3, True, True, "Lax")
    assert poll(theirs, tags[1]).status_code == 304
    assert "is-taken" in poll(mine, tags[0]).content.decode()
    assert own_actions.COOKIE not in browser_of(agent).get("/").cookies


def test_a_page_of_another_release_has_nothing_rendered(agent, browser_of, vendor, look, rendered):
    vendor.add("Somebody", status=1)
    look()
    assert poll(browser_of(agent), "1-of-another", **{"X-Release": "another"}).status_code == 304
    assert rendered == []


def test_two_workers_never_set_a_page_back(agent, browser_of, vendor, look, rush, monkeypatch):
    """Each has boards of its own: what one has rendered, the other may not have seen."""
    number = vendor.add("Somebody", status=1)
    look()
    browser = browser_of(agent)

    def of_worker(kept: Kept[Any], tag: str = "") -> Any:
        monkeypatch.setattr(board, "boards", kept)
        return poll(browser, tag)

    one, other = Kept(3), Kept(3)
    first = of_worker(one).headers["HX-PTag"]
    save(known(number), client_name="Changed")
    later = of_worker(other).headers["HX-PTag"]
    assert later != first
    assert of_worker(one, first).status_code == 304, "who has the earlier one can wait"
    assert "Changed" in of_worker(one, f"{later.partition('-')[0]}-another-filter").content.decode()


def test_a_database_that_has_gone_back_freezes_no_board(agent, browser_of, vendor, look, monkeypatch):
    number = vendor.add("Somebody", status=1)
    look()
    browser = browser_of(agent)
    Snapshot.objects.update(revision=100)
    poll(browser)
    Snapshot.objects.update(revision=50)
    Invitation.objects.filter(vendor_id=number).update(client_name="As it was")
    now = time.monotonic()
    monkeypatch.setattr(fragments.time, "monotonic", lambda: now + 61)
    assert "As it was" in poll(browser).content.decode()


def test_what_changes_beside_the_board_is_never_older_than_the_board(agent, browser_of, vendor, look, rush):
    number = vendor.add("Somebody", status=1)
    look()
    poll(browser_of(agent))
    save(known(number), status=Status.ACTIVE)
    browser_of(agent).get("/")  # renders the board, and nothing beside it
    answer = poll(browser_of(agent)).content.decode()
    assert "(1)" not in re.search(r"<title>(.*?)</title>", answer)[1]


# --- Who shares a tag -------------------------------------------------------------------------------


def test_people_with_the_same_rights_share_one_rendering(agent, colleague, browser_of, vendor, look, rendered):
    vendor.add("Somebody", status=1)
    look()
    tags = {poll(browser_of(person)).headers["HX-PTag"] for person in (agent, colleague, agent)}
    assert len(tags) == 1
    assert len(rendered) == 1


@pytest.mark.parametrize("path", ["/board/rows/", "/board/waiting/"])
def test_a_changed_board_costs_the_next_person_no_more_questions_than_an_unchanged_one(
    agent, colleague, browser_of, vendor, look, path
):
    vendor.add("Somebody", status=1)
    look()
    poll(browser_of(agent), path=path)
    browser, asked, statuses, tag = browser_of(colleague), [], [], "an earlier one"
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            answer = poll(browser, tag, path=path)
        tag = answer.headers["HX-PTag"]
        asked.append(len(queries))
        statuses.append(answer.status_code)
    assert statuses == [200, 304]
    assert asked[0] == asked[1]


def test_a_shared_fragment_tells_the_time_of_the_list_it_is_answered_after(agent, colleague, browser_of, vendor, look):
    vendor.add("Somebody")
    look()
    first = poll(browser_of(agent))
    Snapshot.objects.update(good_at=F("good_at") + timedelta(seconds=3))
    second = poll(browser_of(colleague))
    assert first.headers["HX-PTag"] == second.headers["HX-PTag"]
    for answer in (first, second):
        assert f'data-good-at="{answer.headers["X-Good-At"]}"' in answer.content.decode()
    assert first.headers["X-Good-At"] != second.headers["X-Good-At"]


def test_who_has_been_given_a_client_is_told_alone(agent, colleague, browser_of, vendor, look):
    number = vendor.add("Somebody", status=1)
    look()
    Invitation.objects.filter(vendor_id=number).update(taken_by=colleague, taken_by_name="Joss", taken_at=None)
    Snapshot.bump()
    told = [poll(browser_of(person), path="/board/waiting/").json() for person in (agent, colleague)]
    assert [each["needs"] for each in told] == [0, 1]
    assert [len(each["joined"]) for each in told] == [0, 1]


def test_other_rights_another_filter_or_language_have_another_tag(agent, lead, browser_of, look):
    look()
    mine, theirs = browser_of(agent), browser_of(lead)
    tags = [poll(mine).headers["HX-PTag"], poll(theirs).headers["HX-PTag"]]
    paths = ("/board/rows/?f=needs", "/board/rows/?q=x", "/board/rows/?page=2", "/board/rows/?whose=mine")
    tags += [poll(mine, path=path).headers["HX-PTag"] for path in paths]
    assert len(set(tags)) == len(tags)


def test_own_rows_of_two_people_are_never_shared(agent, colleague, browser_of, look):
    look()
    path = "/board/rows/?whose=mine"
    tags = {poll(browser_of(person), path=path).headers["HX-PTag"] for person in (agent, colleague)}
    assert len(tags) == 2


def test_a_shared_rendering_still_knows_whose_row_it_is(agent, colleague, browser_of, vendor, look, rendered):
    mine, theirs = browser_of(agent), browser_of(colleague)
    look()
    mine.post("/invitations/new/", {"client_name": "Payroll", "token": "a" * 32})
    (row,) = Invitation.objects.all()
    shown = {who: poll(browser).content.decode() for who, browser in (("own", mine), ("other", theirs))}
    assert len(rendered) == 1
    assert ">You</b>" in shown["own"]
    assert f"/invitations/{row.public_id}/close/" in shown["own"]
    assert ">You</b>" not in shown["other"]
    assert agent.display_name in shown["other"]
    assert f"/invitations/{row.public_id}/close/" not in shown["other"]


def test_page_and_poll_share_one_rendering(agent, browser_of, vendor, look, rendered):
    vendor.add("Somebody")
    look()
    browser = browser_of(agent)
    page = browser.get("/").content.decode()
    tag = re.search(r'hx-ptag="([\w-]+)"', page)[1]
    assert poll(browser, tag).status_code == 304
    assert poll(browser).headers["HX-PTag"] == tag
    assert len(rendered) == 1


def test_a_change_of_the_policy_reaches_open_boards(admin, agent, browser_of, vendor, look):
    look()
    tag = poll(browser_of(agent)).headers["HX-PTag"]
    answer = browser_of(admin).post(
        "/admin/invitations/policy/1/change/",
        POLICY_LIMITS | {"helpdesk_name": "Help", "recording": "ask", "previews": "off"},
    )
    assert answer.status_code == 302
    assert poll(browser_of(agent), tag).status_code == 200


# --- Who may no longer look -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/board/rows/", "/board/waiting/", "/invitations/{}/live/"])
def test_a_signed_out_poll_sends_the_whole_page_to_sign_in(agent, browser_of, anonymous, vendor, look, path):
    number = vendor.add("Somebody")
    look()
    answer = poll(anonymous, path=path.format(known(number).public_id))
    assert answer.headers["HX-Redirect"].startswith("/accounts/login/?next=")
    assert "rows" not in answer.headers["HX-Redirect"]
    assert answer.content == b""


def test_a_poll_of_somebody_who_lost_the_role_opens_the_page_that_says_so(agent, browser_of, look):
    look()
    browser = browser_of(agent)
    tag = poll(browser).headers["HX-PTag"]
    agent.groups.remove(Group.objects.get(name=roles.AGENT))
    answer = poll(browser, tag)
    assert answer.headers["HX-Redirect"] == "/"
    assert answer.content == b""
    assert browser.get("/").status_code == 403
    assert Event.objects.filter(kind="access.denied").exists()


def test_a_poll_of_a_disabled_person_goes_to_sign_in(agent, browser_of, look):
    look()
    browser = browser_of(agent)
    tag = poll(browser).headers["HX-PTag"]
    agent.is_active = False
    agent.save()
    assert poll(browser, tag).headers["HX-Redirect"].startswith("/accounts/login/")


# --- Another release --------------------------------------------------------------------------------


def test_a_page_of_another_release_gets_nothing_but_the_news(agent, browser_of, vendor, look):
    vendor.add("Somebody")
    look()
    answer = poll(browser_of(agent), **{"X-Release": "0.0.1"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["X-Release"] == settings.RELEASE
    assert "X-Good-At" not in answer.headers
    assert "HX-PTag" not in answer.headers


# --- Hidden tabs ------------------------------------------------------------------------------------


def test_a_hidden_page_learns_who_waits_and_nothing_else(agent, browser_of, vendor, look):
    number = vendor.add("Payroll", status=1)
    vendor.add("Nobody yet")
    vendor.add("Running", status=2)
    look()
    row = known(number)
    assert poll(browser_of(agent), path="/board/waiting/").json() == {
        "needs": 1,
        "joined": [
            {
                "id": row.public_id,
                "since": int(row.joined_at.timestamp()),
                "name": "Payroll",
                "url": f"/invitations/{row.public_id}/",
            }
        ],
        "urgent": [],
    }


def test_a_hidden_page_learns_at_most_five_names(agent, browser_of, vendor, look):
    for number in range(7):
        vendor.add(f"Client {number}", status=1)
    look()
    answer = poll(browser_of(agent), path="/board/waiting/").json()
    assert answer["needs"] == 7
    assert len(answer["joined"]) == 5


# --- Long boards ------------------------------------------------------------------------------------


def test_a_long_board_comes_in_pages_with_whole_counts(agent, browser_of, vendor, look):
    fill(PAGE + 50, look().account)
    browser = browser_of(agent)
    first, second = (browser.get("/", {"page": page}).content.decode() for page in (1, 2))
    rows = [set(re.findall(r'id="inv-([\w-]+)"', page)) for page in (first, second)]
    assert (len(rows[0]), len(rows[1])) == (PAGE, 50)
    assert not rows[0] & rows[1]
    assert f"1 to {PAGE} of {PAGE + 50}" in first
    assert "Page 2 of 2" in second
    assert 'hx-get="/board/rows/?page=2"' in second
    groups = re.findall(r'id="g-(\w+)">[^<]+<span class="count[^"]*">(\d+)<', first + second)
    assert dict(groups)["needs"] == "63"


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "9" * 50, "²", ""])
def test_a_page_that_does_not_exist_is_the_nearest_one(agent, browser_of, vendor, look, page):
    fill(3, look().account)
    answer = browser_of(agent).get("/", {"page": page})
    assert answer.status_code == 200
    assert b"Client 2" in answer.content


def test_the_number_of_queries_does_not_grow(agent, browser_of, vendor, look):
    account = look().account
    browser = browser_of(agent)
    counted = []
    for size in (1, PAGE + 20):
        Invitation.objects.all().delete()
        fill(size, account)
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/").status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 9


def test_rows_stand_in_the_order_of_need(agent, browser_of, vendor, look):
    account, now = look().account, timezone.now()
    rows = (
        ("taken", Status.JOINED, 50, "Ada"),
        ("short", Status.JOINED, 10, ""),
        ("long", Status.JOINED, 90, ""),
        ("new", Status.WAITING, 1, ""),
        ("old", Status.WAITING, 99, ""),
        ("running", Status.ACTIVE, 5, "Ada"),
        ("odd", Status.UNKNOWN, 5, ""),
    )
    for number, (name, status, age, taken_by) in enumerate(rows):
        then = now - timedelta(seconds=age)
        Invitation.objects.create(
            account=account,
            vendor_id=number,
            client_name=name,
            status=status,
            created_at=then,
            joined_at=then if status == Status.JOINED else None,
            taken_by_name=taken_by,
        )
    page = browser_of(agent).get("/").content.decode()
    assert re.findall(r'title="(\w+)">\1</a>', page) == ["long", "short", "taken", "new", "old", "running", "odd"]


@pytest.mark.parametrize("query", ["ÖDEG", "ödeg", "hd-7", "100%", "(a)", "12 34"])
def test_search_ignores_case_in_every_language_and_takes_signs_as_they_are(agent, browser_of, look, query):
    account = look().account
    Invitation.objects.create(
        account=account, vendor_id=1, client_name="Åse Ödegård 100% (a)", ticket="HD-7", code="991234"
    )
    Invitation.objects.create(account=account, vendor_id=2, client_name="Somebody", code="5")
    page = browser_of(agent).get("/", {"q": query}).content.decode()
    assert "Ödegård" in page
    assert "Somebody</a>" not in page


def test_of_a_changed_board_only_the_changed_rows_are_rendered(agent, browser_of, look, monkeypatch):
    fill(30, look().account)
    browser = browser_of(agent)
    browser.get("/")
    rendered: list[str] = []
    render = Board.render_row
    monkeypatch.setattr(
        Board,
        "render_row",
        lambda board, row: rendered.append(row.invitation.client_name) or render(board, row),
    )
    Invitation.objects.filter(client_name="Client 7").update(client_name="Seventh")
    Snapshot.objects.update(revision=1_000)
    assert "Seventh" in poll(browser).content.decode()
    assert rendered == ["Seventh"]


@pytest.mark.parametrize("field", SHOWN)
def test_whatever_a_row_shows_is_part_of_what_it_is_kept_by(agent, field):
    one, other = Invitation(vendor_id=1), Invitation(vendor_id=1)
    for name in SHOWN:
        setattr(other, name, getattr(one, name))
    setattr(other, field, timezone.now() if field.endswith("_at") else "another")
    first, second = (Row(each, Access(agent), Policy(), "", "") for each in (one, other))
    assert first.facts != second.facts


def test_who_waits_is_told_to_pages_of_every_release(agent, browser_of, vendor, look):
    vendor.add("Somebody", status=1)
    look()
    answer = poll(browser_of(agent), path="/board/waiting/", **{"X-Release": "an older one"})
    assert answer.json()["needs"] == 1
    assert answer.headers["HX-PTag"]
