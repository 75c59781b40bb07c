"""The client's page: who is let on, what everybody else reads, and that looking spends nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
from django.contrib.staticfiles import finders
from django.db import OperationalError, connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invitations import arrivals, links
from invitations.models import Entry, Invitation, Policy, Snapshot, Status
from invitations.phrases import words_of
from portal import log
from portal.accounts.models import Tally
from portal.audit.models import Event
from tests.audit.test_unwritable import BREAK
from tests.conftest import Browser, whole_log

CODE = "417902365"
VENDORS = f"https://go.getscreen.me/invite/{CODE}"
GERMAN = {"accept-language": "de-AT,de;q=0.9"}


@pytest.fixture
def invitation(agent, vendor) -> Invitation:
    Snapshot.load()
    return invite(agent)


def invite(by, **fields) -> Invitation:
    number = Invitation.objects.count() + 1
    values = {"account": "", "code": CODE, "invite_url": VENDORS, "client_name": "Tilda", "created_by": by}
    return Invitation.objects.create(vendor_id=number, **values | fields)


def page_of(answer, status: int = 200) -> str:
    """Return the text of a page, after what holds for every answer to a client."""
    assert answer.status_code == status
    assert not answer.cookies
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = answer.content.decode()
    assert f'<html lang="{answer.headers["Content-Language"]}"' in page
    assert "<script" not in page
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.partition("<body")[2])))


def at(path: str = CODE, status: int = 200, **headers: str) -> str:
    return page_of(Browser(headers=headers).get(f"/join/{path}"), status)


# --- The code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", [CODE, "417 902 365", "417-902-365", "417.902.365", "٤١٧٩٠٢٣٦٥", "417\u00a0902\u00a0365"]
)
def test_a_right_code_leads_to_its_page(invitation, typed):
    answer = Browser().post("/join/", {"code": typed})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/join/{CODE}")
    assert not answer.cookies
    assert "Continue" in at()
    assert "Continue" in at(f"{typed}/")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type the nine digits"),
        ("abc", "no letters"),
        ("O17902365", "no letters"),
        ("4179", "these are 4"),
        ("4", "this is 1"),
        ("9" * 300, "these are 300"),
        ("417902365\x00x", "no letters"),
    ],
)
def test_what_is_no_code_is_explained_and_costs_no_try(invitation, typed, words):
    answer = Browser().post("/join/", {"code": typed})
    assert words in page_of(answer, 422)
    assert f'value="{typed[:60]}"' in answer.content.decode().replace("\x00", "\x00")
    assert 'aria-invalid="true"' in answer.content.decode()
    if typed:
        assert words in at(typed.replace("\x00", "%00"), 404)
    assert not Tally.objects.exists()


def test_an_unknown_code_comes_back_as_it_was_typed_and_stands_in_no_address(invitation):
    answer = Browser().post("/join/", {"code": "123 456 789"})
    assert "We do not know this code" in page_of(answer, 404)
    assert 'value="123 456 789"' in answer.content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"is_external": True},
        {"code": "111111111"},
        {"account": "another"},
        {"status": Status.CLOSED, "closed_at": timezone.now() - arrivals.KNOWN_FOR - timedelta(minutes=1)},
        {"status": Status.CLOSED, "closed_at": timezone.now() - timedelta(days=9), "expired_at": timezone.now()},
    ],
)
def test_what_the_portal_has_not_made_or_closed_long_ago_is_as_unknown_as_any_code(
    fields, agent, vendor, django_assert_num_queries
):
    Snapshot.load()
    Policy.load()
    Snapshot.objects.update(account="this one")
    browser = Browser()
    browser.get("/join/417902365")  # now and then a try removes what is over
    Tally.objects.all().delete()
    with CaptureQueriesContext(connection) as queries:
        nobodys = browser.get("/join/417902365")
    Tally.objects.all().delete()
    invite(agent, **{"account": "this one"} | fields)
    with django_assert_num_queries(len(queries)):
        answer = browser.get("/join/417902365")
    assert "We do not know this code" in page_of(answer, 404)
    assert answer.content == nobodys.content


def test_of_several_with_one_code_the_newest_open_one_counts_and_then_the_last_that_was_closed(agent, vendor):
    now = timezone.now()
    Snapshot.load()
    closed = {"status": Status.CLOSED}
    first = invite(agent, **closed, closed_at=now - timedelta(hours=2), expired_at=now)
    invite(agent, **closed, closed_at=now - timedelta(hours=1), created_at=now - timedelta(days=1))
    assert "This session is over" in at(status=410)
    old = invite(agent, created_at=now - timedelta(hours=3), phrase=1)
    invite(agent, created_at=now - timedelta(hours=1), phrase=2)
    assert words_of(2, "en") in at()
    tag = links.client_link(old, Policy(shared_link="join")).partition("/j/")[2]
    assert words_of(1, "en") in at(tag), "a link leads to its own"
    tag = links.client_link(first, Policy(shared_link="join")).partition("/j/")[2]
    assert "This code has expired" in at(tag, 410)


# --- What a client reads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"status": Status.JOINED}, 409, "Somebody is already connected with this code"),
        ({"status": Status.ACTIVE}, 409, "Somebody is already connected with this code"),
        ({"status": Status.CLOSED, "closed_at": timezone.now()}, 410, "This session is over"),
        ({"status": Status.CLOSED, "closed_at": timezone.now(), "expired_at": timezone.now()}, 410, "has expired"),
        ({"expires_at": timezone.now()}, 410, "This code has expired"),
        ({"invite_url": ""}, 502, "This code cannot be used now"),
        ({"invite_url": "https://evil.example/invite/1"}, 502, "This code cannot be used now"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_not_open_says_why_and_leads_nowhere(fields, status, words, method, agent, vendor):
    Snapshot.load()
    invitation = invite(agent, **fields)
    answer = getattr(Browser(), method)(f"/join/{CODE}")
    page = page_of(answer, status)
    assert words in page
    assert "Mika" not in page
    assert words_of(invitation.phrase, "en") not in page
    assert "Location" not in answer.headers
    assert not Entry.objects.exists()


def test_who_reloads_the_page_after_joining_reads_that_all_is_well(invitation):
    Invitation.objects.update(status=Status.JOINED, expires_at=timezone.now())
    page = at(status=409)
    assert "Is that you? Then all is well" in page
    Invitation.objects.update(status=Status.WAITING, expires_at=None)
    assert "Continue" in at(), "and can try again once the connection has broken"


def test_a_code_that_somebody_keeps_for_the_client_works_past_its_time(invitation, colleague):
    Invitation.objects.update(expires_at=timezone.now(), taken_by=colleague, taken_by_name="Joss Imre")
    assert "Continue" in at()
    answer = Browser().post(f"/join/{CODE}")
    assert (answer.status_code, answer.headers["Location"]) == (303, VENDORS)


def test_a_code_that_somebody_keeps_for_the_client_has_not_expired(invitation, agent):
    Invitation.objects.update(expires_at=timezone.now(), taken_by=agent, taken_by_name="Mika Lind")
    assert "Continue" in at()
    Invitation.objects.update(taken_by=None, taken_by_name="")
    assert "This code has expired" in at(status=410)


@pytest.mark.parametrize(
    ("policy", "who", "name"),
    [
        ("none", "created", ""),
        ("first", "created", "Mika"),
        ("full", "created", "Mika Lind"),
        ("first", "taken", "Joss"),
        ("full", "taken", "Joss Imre"),
        ("full", "nameless", ""),
        ("full", "nobody", ""),
    ],
)
def test_the_supporter_is_named_as_the_policy_says_and_never_by_a_user_name(policy, who, name, invitation, colleague):
    Policy.load()
    Policy.objects.update(supporter_name=policy)
    if who == "taken":
        Invitation.objects.update(taken_by=colleague, taken_by_name="Joss Imre")
    elif who == "nobody":
        Invitation.objects.update(created_by=None, created_by_name="Gone")
    elif who == "nameless":
        invitation.created_by.first_name = invitation.created_by.last_name = ""
        invitation.created_by.save()
    page = at()
    if name:
        assert f"{name} helps you on your screen" in page
        assert f"{name} will say" in page
    else:
        assert "Get help on your screen" in page
        assert "Your supporter will say" in page
    names = ("Mika", "Lind", "Joss", "Imre", "Gone", "agent", "colleague")
    shown = {name for name in names if re.search(rf"\b{name}\b", page)}  # of check phrases some say "magenta"
    assert shown == set(name.split())
    assert "Tilda" not in page, "the client's name and ticket are the helpdesk's"


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        ("on", "The session will be recorded."),
        ("off", "The session will not be recorded."),
        ("ask", "Ask your supporter whether it is."),
        ("default", "The session may be recorded."),
    ],
)
def test_whether_the_session_may_be_recorded_is_said_before_the_button(recording, words, invitation):
    Policy.load()
    Policy.objects.update(recording=recording)
    assert words in at()


def test_the_safety_note_stands_above_the_one_button_of_the_page(invitation):
    for path in ("/join/", f"/join/{CODE}"):
        page = Browser().get(path).content.decode()
        assert page.count("<button") == 1
        assert page.index("Only continue if you are talking to our helpdesk right now.") < page.index("<button")


def test_the_page_wears_the_helpdesk_s_look(invitation):
    Policy.load()
    Policy.objects.update(helpdesk_name="Quillmere & Söhne", accent="#1d4ed8", logo_digest="a" * 64)
    page = Browser().get(f"/join/{CODE}").content.decode()
    for part in ("· Quillmere &amp; Söhne</title>", f"/logo/{'a' * 64}.png", "/branding/"):
        assert part in page


def test_the_browser_chooses_the_language_and_the_address_does_so_without_cookies(invitation):
    phrase = words_of(invitation.phrase, "de")
    assert phrase in at(**GERMAN)
    assert "Weiter" in at(f"{CODE}?lang=de")
    assert "Continue" in at(f"{CODE}?lang=en", **GERMAN)
    assert "Continue" in at(f"{CODE}?lang=fr")
    page = Browser().get(f"/j/{CODE}?lang=de").content.decode()
    assert f'action="/join/{CODE}?lang=de"' in page
    assert '<a href="?lang=en" lang="en" hreflang="en">English</a>' in page
    answer = Browser().post("/join/?lang=de", {"code": CODE})
    assert answer.headers["Location"] == f"/join/{CODE}?lang=de"
    assert Browser().get("/accounts/login/?lang=de").headers["Content-Language"] == "en", "only clients are asked so"


# --- The button -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"/join/{CODE}", f"/j/{CODE}", "/join/417-902-365"])
def test_the_button_leads_to_the_vendor_and_its_first_press_is_remembered(path, invitation):
    before = Snapshot.load().revision
    for _ in range(3):
        answer = Browser(headers={"user-agent": "phone", **GERMAN}).post(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, VENDORS)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not answer.cookies
    (entry,) = Entry.objects.all()
    assert (entry.kind, entry.actor_name, entry.detail) == ("continued", "", "The page was in German")
    (event,) = Event.objects.filter(kind="join.continued")
    assert (event.facts, event.target_id) == ({"language": "de"}, invitation.public_id)
    assert CODE not in whole_log()
    assert Snapshot.load().revision == before + 1, "so that the agent's page shows it"


def test_of_two_presses_in_the_same_moment_one_is_recorded(invitation, monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(arrivals, "has_gone_on", lambda invitation, who: next(answers))
    assert Browser().post(f"/join/{CODE}").headers["Location"] == VENDORS
    assert not Entry.objects.exists()


def test_the_agent_reads_that_the_client_has_gone_on(invitation, agent, browser_of):
    Browser().post(f"/join/{CODE}")
    page = browser_of(agent).get(f"/invitations/{invitation.public_id}/").content.decode()
    assert "Client went on from the join page" in page


def test_a_person_of_the_helpdesk_who_tries_the_page_is_named_in_the_log(invitation, agent, browser_of):
    browser_of(agent).post(f"/join/{CODE}")
    assert Event.objects.get(kind="join.continued").actor_id == agent.pk


def test_a_person_of_the_helpdesk_who_tries_the_page_is_not_taken_for_the_client(invitation, agent, browser_of):
    desk = browser_of(agent)
    for _ in range(2):
        desk.post(f"/join/{CODE}")
    page = desk.get(f"/invitations/{invitation.public_id}/").content.decode()
    assert f"Join page tried out by {agent.display_name}" in page
    assert "Client went on from the join page" not in page
    Browser().post(f"/join/{CODE}")
    page = desk.get(f"/invitations/{invitation.public_id}/").content.decode()
    assert page.count("Client went on from the join page") == 1, "which is still news"
    assert Event.objects.filter(kind="join.continued").count() == 2


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("path", ["/join/", f"/join/{CODE}", f"/j/{CODE}"])
def test_scanners_and_previews_change_nothing_however_often_they_look(
    method, path, invitation, vendor, django_assert_max_num_queries
):
    Policy.load()
    before = Invitation.objects.values().get(), Event.objects.count(), Snapshot.load().revision
    with django_assert_max_num_queries(20 * 4):
        for _ in range(20):
            assert getattr(Browser(), method)(path).status_code == 200
    assert (Invitation.objects.values().get(), Event.objects.count(), Snapshot.load().revision) == before
    assert not Entry.objects.exists()
    assert not Tally.objects.exists()
    assert not vendor.ledger.requests
    for name in ("Sec-Purpose", "Purpose"):
        assert Browser().get(path, headers={name: "prefetch"}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_s_form_is_refused_and_its_frame_as_well(site, invitation):
    for path in ("/join/", f"/join/{CODE}"):
        answer = Browser().post(path, {"code": CODE}, headers={"sec-fetch-site": site})
        assert answer.status_code == 403
        framed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
        assert Browser().get(path, headers=framed).status_code == 403
        linked = framed | {"sec-fetch-dest": "document"}
        assert Browser().get(path, headers=linked).status_code == 200, "a link in a mail read in a browser"
    assert not Entry.objects.exists()
    assert CODE not in whole_log()


def test_a_form_without_a_token_from_an_old_browser_does_what_a_link_would(invitation):
    browser = Browser(enforce_csrf_checks=True)
    assert browser.post(f"/join/{CODE}", headers={"origin": "null"}).headers["Location"] == VENDORS
    assert browser.post("/join/", {"code": CODE}).status_code == 303


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
@pytest.mark.parametrize("path", ["/join/", f"/join/{CODE}", "/join/%00", "/j/x/y"])
def test_other_methods_are_refused(method, path, invitation):
    assert getattr(Browser(), method)(path).status_code == 405


# --- What is broken ---------------------------------------------------------------------------------


def broken(*_: object) -> None:
    raise OperationalError("the server closed the connection")


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/join/", "/join/?lang=de", f"/join/{CODE}", "/join/abc", f"/j/{CODE}-aaaaaaaa"])
def test_without_a_database_a_client_reads_so_in_plain_words(path, method, invitation, caplog):
    with connection.execute_wrapper(broken):
        answer = getattr(Browser(), method)(path, {"code": CODE} if method == "post" else {})
    page = page_of(answer, 503)
    assert ("Bei uns ist etwas gestört" if "lang=de" in path else "broken on our side") in page
    assert "sign-in" not in page
    assert "A client could not be answered" in caplog.text


def test_where_the_log_cannot_be_written_nobody_goes_on_unrecorded(invitation):
    with connection.cursor() as cursor:
        for statement in BREAK["trigger"]:
            cursor.execute(statement)
    answer = Browser().post(f"/join/{CODE}")
    assert "broken on our side" in page_of(answer, 503)
    assert "Location" not in answer.headers
    assert not Entry.objects.exists()


def test_a_code_is_masked_as_the_page_to_come_back_to_as_well():
    line = log.masked("GET /accounts/security/?next=%2Fjoin%2F417902365 HTTP/1.1")
    assert line == "GET /accounts/security/?next=%2Fjoin%2F******** HTTP/1.1"


def test_codes_in_addresses_are_masked_in_the_portal_s_own_log():
    for path in ("/join/417902365", "/j/417902365-k7m2qxab"):
        assert "417" not in log.masked(f"Not Found: {path}")


# --- What it loads ----------------------------------------------------------------------------------


class Loads(HTMLParser):
    """The addresses that a browser loads with a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        source = has.get("href") if tag in ("link", "use") else has.get("src")
        if source and not source.startswith("#"):
            self.found.add(source)


@pytest.mark.parametrize("path", ["/join/", f"/join/{CODE}", "/join/1", "/join/999999999"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_first_load_is_small(path, language, invitation):
    """All that comes over the wire into an empty cache, uncompressed; the helpdesk's logo is its own choice."""
    Policy.load()
    Policy.objects.update(accent="#1d4ed8", helpdesk_name="Q" * 60)
    browser = Browser(headers={"accept-language": language})
    answer = browser.get(path)
    total = len(answer.content)
    for source in Loads(answer.content.decode()).found:
        if source.startswith("/static/"):
            with open(finders.find(source.removeprefix("/static/")), "rb") as file:
                total += len(file.read())
        else:
            total += len(browser.get(source).content)
    assert 10_000 < total <= 30_000


# --- The agent's side -------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", ["vendor", "join"])
def test_the_policy_says_which_link_agents_share_everywhere(shared, invitation, agent, browser_of, look):
    Policy.load()
    Policy.objects.update(shared_link=shared)
    link = links.client_link(invitation, Policy.load())
    assert link == VENDORS if shared == "vendor" else link.startswith(f"https://testserver/j/{CODE}-")
    browser = browser_of(agent)
    page = browser.get(f"/invitations/{invitation.public_id}/").content.decode()
    board = browser.get("/").content.decode()
    assert f'data-copy="{link}"' in page
    assert f'data-copy="{link}"' in board
    assert f"{link}\n\nIf you are asked" in unescape(page)
    other = "https://testserver/j/" if shared == "vendor" else VENDORS
    assert other not in page + board
    assert browser.get(f"/invitations/{invitation.public_id}/qr/").status_code == 200
    assert "Continue" in page_of(Browser().get(link)) if shared == "join" else True


@pytest.mark.parametrize("fields", [{"is_external": True}, {"code": "4179"}, {"code": "٤١٧٩٠٢٣٦٥"}, {"invite_url": ""}])
def test_the_vendor_s_own_link_is_shared_where_the_join_page_would_not_know_the_code(fields, agent, vendor):
    invitation = invite(agent, **fields)
    assert links.client_link(invitation, Policy(shared_link="join")) == invitation.invite_url


def test_a_board_that_is_kept_shows_the_other_link_as_soon_as_the_policy_changes(
    invitation, agent, admin, browser_of, look
):
    browser = browser_of(agent)
    assert VENDORS in browser.get("/").content.decode()
    Policy.objects.update(shared_link="join")
    Snapshot.bump()
    assert VENDORS not in browser.get("/").content.decode()


def test_only_who_sees_codes_sees_the_phrase(invitation, agent, auditor, browser_of):
    address = f"/invitations/{invitation.public_id}/"
    english, german = words_of(invitation.phrase, "en"), words_of(invitation.phrase, "de")
    page = browser_of(agent).get(address).content.decode()
    assert page.count(english) == 2
    assert f'<b lang="de">{german}</b>' in page
    assert english not in browser_of(auditor).get(address).content.decode()
    Invitation.objects.update(is_external=True)
    assert english not in browser_of(agent).get(address).content.decode(), "the join page does not know it"


def test_links_outlive_a_change_of_the_key_and_nobody_else_s_tag_is_taken(invitation, settings):
    path = links.client_link(invitation, Policy(shared_link="join")).removeprefix("https://testserver")
    with override_settings(SECRET_KEY="x" * 60, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert Browser().get(path).status_code == 200
    with override_settings(SECRET_KEY="x" * 60):
        assert "We do not know this code" in page_of(Browser().get(path), 404)


def test_a_client_at_the_staff_s_door_finds_the_way(db):
    assert '<a href="/join/">' in Browser().get("/accounts/login/").content.decode()
    assert Browser().get("/join").headers["Location"] == "/join/"
