"""How fresh the pages say they are, whose fault it is when they are not, and what is offered meanwhile."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from invitations.health import health_of
from invitations.models import Policy, Snapshot
from invitations.presentation import gap
from portal.getscreen.types import Secret
from tests.conftest import known

NOW = timezone.now()


def health(**facts):
    snapshot = Snapshot(**{"trouble": "", "good_at": NOW, "attempted_at": NOW, "remaining": 50} | facts)
    return health_of(snapshot, NOW)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def ahead(seconds):
    return NOW + timedelta(seconds=seconds)


def test_a_fresh_list_is_live():
    assert (health().state, health().trouble, health().marks, health().can_create) == ("live", "", "", True)


def test_the_first_page_after_a_slow_round_is_still_live():
    assert health(good_at=ago(18), attempted_at=ago(18)).state == "live"


@pytest.mark.parametrize(
    ("facts", "trouble", "state"),
    [
        ({"trouble": "unreachable", "good_at": ago(2)}, "unreachable", "late"),
        ({"trouble": "unreachable", "good_at": ago(299)}, "unreachable", "late"),
        ({"trouble": "unreachable", "good_at": ago(301)}, "unreachable", "stale"),
        ({"trouble": "starting", "good_at": None, "attempted_at": None}, "starting", "stale"),
        ({"good_at": ago(25)}, "", "late"),
        ({"good_at": ago(301)}, "", "stale"),
        ({"good_at": ago(120), "attempted_at": ago(120)}, "ours", "late"),
        ({"good_at": ago(400), "attempted_at": ago(400)}, "ours", "stale"),
        ({"trouble": "key", "good_at": None}, "key", "stale"),
    ],
)
def test_what_is_wrong_and_how_bad_it_is(facts, trouble, state):
    assert (health(**facts).trouble, health(**facts).state) == (trouble, state)


@pytest.mark.parametrize(
    "facts",
    [
        {"attempted_at": ago(16), "good_at": ago(16)},  # nobody looks
        {"attempted_at": ago(60), "good_at": ago(60)},  # a minute's pause, and no note of it
        {"trouble": "quota", "attempted_at": ago(64), "pause_until": ago(4)},
        {"trouble": "unreachable", "attempted_at": ago(500), "pause_until": ahead(10)},  # told to wait so long
        {"trouble": "starting", "attempted_at": None, "good_at": None, "lease_until": ahead(5)},
    ],
)
def test_a_pause_is_no_fault_of_ours(facts):
    assert health(**facts).trouble != "ours"


def test_a_watcher_that_never_began_to_ask_is_our_fault():
    assert health(trouble="starting", attempted_at=None, good_at=None, lease_until=ago(200)).trouble == "ours"


@pytest.mark.parametrize("seconds", [25, 3600, 86_400 * 400])
def test_a_clock_that_was_set_back_does_not_make_a_list_live(seconds):
    assert health(good_at=ahead(seconds), attempted_at=ahead(seconds)).state == "late"
    assert health(good_at=ahead(2)).state == "live"


def test_the_limit_is_a_setting_and_never_below_late(settings):
    settings.STALE_SECONDS = 60
    assert health(good_at=ago(61)).state == "stale"
    settings.POLL_SECONDS = 60
    assert health(good_at=ago(200)).state == "live"
    assert health(good_at=ago(301)).state == "stale"


def test_a_time_of_another_day_comes_with_its_day():
    assert re.fullmatch(r"\d\d:\d\d:\d\d", health(good_at=NOW).as_of)
    assert re.match(r"\d+ \w+, ", health(good_at=ago(86_400 * 2)).as_of)
    assert health(good_at=None).as_of == ""


def test_polling_tags_follow_the_time_shown_only_while_it_is_shown():
    assert health(good_at=ago(1)).facts == health(good_at=ago(9)).facts
    assert health(good_at=ago(30)).facts != health(good_at=ago(90)).facts


def test_without_a_key_it_says_so(settings):
    settings.GETSCREEN_API_KEY = Secret("")
    assert health().trouble == "no_key"
    assert not health().can_act


@pytest.mark.parametrize(
    ("facts", "level", "may_create", "may_act"),
    [
        ({"remaining": 50}, "ok", True, True),
        ({"remaining": 9}, "low", True, True),
        ({"remaining": 0}, "out", False, True),
        ({"remaining": None}, "unknown", True, True),
        ({"trouble": "quota"}, "out", False, True),
        ({"trouble": "key"}, "ok", False, False),
        ({"trouble": "address"}, "ok", False, False),
        ({"trouble": "unreachable"}, "ok", False, False),
        ({"trouble": "garbled"}, "ok", False, False),
        ({"good_at": ago(30)}, "ok", True, True),
        ({"good_at": ago(200), "attempted_at": ago(200)}, "ok", True, True),
    ],
)
def test_what_is_offered_meanwhile(facts, level, may_create, may_act):
    found = health(**facts)
    assert (found.quota_level, found.can_create, found.can_act) == (level, may_create, may_act)
    assert bool(found.why_not) == (not may_act)
    assert bool(found.why_not_create) == (not may_create)


@pytest.mark.parametrize(("seconds", "text"), [(5, ""), (42, "42 s"), (125, "2 min 5 s"), (3720, "1 h 2 min")])
def test_gaps_between_lines_are_words(seconds, text):
    assert gap(NOW, NOW + timedelta(seconds=seconds)) == text
    assert gap(None, NOW) == ""


# --- The pages ------------------------------------------------------------------------------------


@pytest.fixture
def tilda(vendor, look, agent):
    """A client who waits for the agent that invited her."""
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    row = known(number)
    row.created_by, row.created_by_name, row.is_external = agent, agent.display_name, False
    row.save()
    return row


def state(**facts):
    """Bring the snapshot to this, as a watcher would; whatever a person could see moves the revision."""
    now = timezone.now()
    seconds = facts.pop("age", 2)
    good_at = None if seconds is None else now - timedelta(seconds=seconds)
    values = {"trouble": "", "attempted_at": now, "good_at": good_at} | facts
    Snapshot.objects.update(revision=Snapshot.load().revision + 1, **values)
    return good_at


def page_of(browser, path="/"):
    return re.sub(r"[ \n]+", " ", browser.get(path).content.decode())


WORDS = [
    ({"trouble": "unreachable"}, "Getscreen does not answer.", "Getscreen unreachable"),
    ({"trouble": "quota"}, "The plan’s limit is used up.", "Plan limit used up"),
    ({"trouble": "key"}, "Getscreen rejected the portal’s API key.", "API key rejected"),
    ({"trouble": "address"}, "There is no Getscreen service at the configured address.", "Wrong Getscreen address"),
    ({"trouble": "garbled"}, "Getscreen answered something we do not understand.", "Answer not understood"),
    ({"trouble": "starting", "age": None}, "The first list is being fetched", "Fetching the first list"),
    ({"age": 40}, "The next list from Getscreen is late.", "Getscreen is late"),
    (
        {"age": 120, "attempted_at": ago(120)},
        "The portal itself has stopped asking Getscreen.",
        "Portal stopped asking",
    ),
]


@pytest.mark.parametrize(("facts", "banner", "bar"), WORDS, ids=[bar for _, _, bar in WORDS])
def test_every_state_has_its_own_words_and_heals_by_itself(agent, browser_of, tilda, look, facts, banner, bar):
    good_at = state(**facts)
    browser = browser_of(agent)
    for path in ("/", "/board/rows/", f"/invitations/{tilda.public_id}/"):
        page = page_of(browser, path)
        assert banner in page
        assert bar in page
        assert [text for _, text, _ in WORDS if text in page] == [banner]
        assert good_at is None or f"What you see is from {good_at:%H:%M:%S}." in page
        assert tilda.code_grouped in page
        assert 'data-state="live"' not in page
    look()
    page = page_of(browser)
    assert not [text for _, text, _ in WORDS if text in page]
    assert 'data-state="live"' in page


def test_without_a_key_the_page_names_what_is_missing(agent, browser_of, vendor, settings):
    settings.GETSCREEN_API_KEY = Secret("")
    page = page_of(browser_of(agent))
    assert "The portal has no Getscreen API key." in page
    assert "No list has arrived yet." in page


@pytest.mark.parametrize("trouble", ["unreachable", "garbled", "key", "address"])
def test_what_needs_the_vendor_is_off_with_its_reason(agent, browser_of, tilda, trouble):
    Policy.objects.update_or_create(pk=1, defaults={"previews": "shown"})
    state(trouble=trouble)
    browser, here = browser_of(agent), f"/invitations/{tilda.public_id}/"
    reason = health(trouble=trouble).why_not
    for path in ("/", here):
        page = page_of(browser, path)
        assert reason in page
        assert "connect/" not in page
        assert "rename/" not in page
        assert "close/" not in page
        assert "preview/" not in page
        assert "btn-signal" not in page
        assert tilda.invite_url in page
    assert 'aria-describedby="why-create"' in page_of(browser)
    assert reason in page_of(browser, "/invitations/new/")
    assert re.search(r"<button[^>]* disabled[^>]*>Create invitation", page_of(browser, "/invitations/new/"))


@pytest.mark.parametrize("facts", [{"trouble": "quota"}, {"remaining": 0}])
def test_a_used_up_plan_forbids_creating_alone(agent, browser_of, tilda, facts):
    state(**facts)
    page = page_of(browser_of(agent))
    assert 'aria-describedby="why-create"' in page
    assert "The plan has no sessions left." in page
    for action in ("connect/", "rename/", "close/"):
        assert f"/invitations/{tilda.public_id}/{action}" in page


@pytest.mark.parametrize("facts", [{"age": 40}, {"age": 120, "attempted_at": ago(120)}])
def test_a_late_list_forbids_nothing_but_calls_nobody(agent, browser_of, tilda, facts):
    state(**facts)
    page = page_of(browser_of(agent))
    for action in ("connect/", "rename/", "close/"):
        assert f"/invitations/{tilda.public_id}/{action}" in page
    assert re.search(r'class="board is-old" id="board"', page)


def test_old_rows_stay_and_say_that_they_are_not_current(agent, browser_of, tilda):
    good_at = state(age=301, trouble="unreachable")
    browser = browser_of(agent)
    for path in ("/", f"/invitations/{tilda.public_id}/"):
        page = page_of(browser, path)
        assert "is-old is-stale" in page
        assert f"as of {good_at:%H:%M:%S}" in page
        assert f"it is how things were at {good_at:%H:%M:%S}" in page
        assert "Tilda" in page


def test_the_button_for_new_invitations_comes_back_with_a_poll(agent, browser_of, tilda, look):
    state(trouble="unreachable")
    browser = browser_of(agent)
    assert 'aria-describedby="why-create"' in page_of(browser, "/board/rows/")
    look()
    page = page_of(browser, "/board/rows/")
    assert 'hx-target="#create"' in page
    assert 'aria-describedby="why-create"' not in page


def test_the_phones_button_says_that_it_is_off_until_a_poll_brings_it_back(agent, browser_of, tilda, look):
    off = re.compile(r'<a class="btn" id="create-phone".*?New invitation: off</a>')
    state(trouble="unreachable")
    browser = browser_of(agent)
    assert off.search(page_of(browser))
    assert off.search(page_of(browser, "/board/rows/"))
    look()
    assert not off.search(page_of(browser, "/board/rows/"))
    assert '<a class="btn btn-primary" id="create-phone"' in page_of(browser)


def test_an_invitation_promises_no_news_while_none_comes(agent, browser_of, vendor, look):
    number = vendor.add("Payroll laptop")
    look()
    browser, here = browser_of(agent), f"/invitations/{known(number).public_id}/"
    assert "The board shows when they join." in page_of(browser, here)
    good_at = state(trouble="unreachable", age=30)
    page = page_of(browser, here)
    assert "The board shows when they join." not in page
    assert f"As of {good_at:%H:%M:%S}. They may have joined since." in page
    assert 'class="spin"' not in page


def test_the_page_without_scripts_says_as_of_when(agent, browser_of, tilda):
    good_at = state()
    assert f'<span class="no-js">As of {good_at:%H:%M:%S}</span>' in page_of(browser_of(agent))


@pytest.mark.parametrize("name", ["rename", "close"])
def test_a_form_that_cannot_work_now_says_why_and_one_that_failed_may_be_sent_again(
    lead, browser_of, vendor, look, name
):
    number = vendor.add("Payroll")
    look()
    vendor.fail("*", "refused", times=None)
    look()
    browser, address = browser_of(lead), f"/invitations/{known(number).public_id}/{name}/"
    page = browser.get(address).content.decode()
    assert "This is off at the moment." in page
    assert 'disabled aria-describedby="why-not"' in page
    page = browser.post(address, {"client_name": "Typed and not lost"}).content.decode()
    assert 'disabled aria-describedby="why-not"' not in page
    assert name == "close" or "Typed and not lost" in page


def test_a_create_that_failed_may_be_sent_again_from_the_same_form(agent, browser_of, vendor, look):
    look()
    vendor.fail("*", "refused", times=None)
    look()
    page = browser_of(agent).post("/invitations/new/", {"client_name": "Typed", "token": "a" * 32}).content.decode()
    assert "Typed" in page
    assert 'disabled aria-describedby="why-not"' not in page
