"""A waiting client is called out once: by sound, by notification, in the title, also while nobody looks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

# What browsers will not do without a screen: hiding a tab, playing a sound, showing a notification.
STUBS = """
(() => {
  let hidden = false;
  window.did = { sounds: 0, notes: [] };
  Object.defineProperty(document, "hidden", { get: () => hidden });
  Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
  window.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
  class Note {
    static permission = "granted";
    static async requestPermission() { return Note.permission; }
    constructor(title, options) { did.notes.push({ title, ...options }); window.lastNote = this; }
    close() {}
  }
  window.Notification = Note;
  const quiet = { setValueAtTime() {}, exponentialRampToValueAtTime() {} };
  const node = (more) => ({ connect: (next) => next, ...more });
  window.AudioContext = class {
    state = "suspended"; currentTime = 0; destination = node();
    async resume() { this.state = "running"; this.onstatechange?.(); }
    createOscillator() { return node({ frequency: {}, start: (at) => at === 0 && did.sounds++, stop() {} }); }
    createGain() { return node({ gain: quiet }); }
  };
})();
"""
# Hidden tabs ask every 12 seconds; tests have less patience.
QUICK = """
document.addEventListener("readystatechange", () => {
  const words = document.getElementById("words");
  if (words) words.dataset.hiddenSeconds = "1";
});
"""


@pytest.fixture
def alone(browser, portal, reports, session_of):
    """A profile of the agent's own with the stubs, in which no tab has called anybody yet."""
    context = browser.new_context(base_url=portal.url, reduced_motion="reduce")
    reports.watch(context)
    context.add_init_script(STUBS)
    context.add_init_script(QUICK)
    context.add_cookies(session_of("agent")["cookies"])
    yield context
    context.close()


@pytest.fixture
def choose(portal):
    """Set the agent's switches as saved."""

    def choose(*, sound: bool, notification: bool) -> None:
        forget(portal)
        portal.ask(
            "INSERT INTO invitations_alertchoice (user_id, sound, notification)"
            " SELECT id, ?, ? FROM accounts_user WHERE username = 'agent'",
            sound,
            notification,
        )

    yield choose
    forget(portal)


def forget(portal) -> None:
    portal.ask("DELETE FROM invitations_alertchoice")


def open_tab(context: BrowserContext, path: str = "/") -> Page:
    page = context.new_page()
    page.set_default_timeout(8_000)
    page.goto(path)
    return page


def did(page: Page, *, sounds: int, notes: int) -> None:
    enough = "([sounds, notes]) => did.sounds >= sounds && did.notes.length >= notes"
    page.wait_for_function(enough, arg=[sounds, notes])
    assert page.evaluate("[did.sounds, did.notes.length]") == [sounds, notes]


def row_of(page: Page, name: str):
    return page.get_by_role("listitem").filter(has_text=name)


def test_a_joined_client_is_called_out_once_in_view(alone, choose, vendor):
    choose(sound=True, notification=True)
    number = vendor.add("Payroll laptop")
    page = open_tab(alone)
    page.keyboard.press("Shift")  # browsers want a key or a click before they play
    vendor.join(number)
    did(page, sounds=1, notes=1)
    note = page.evaluate("did.notes[0]")
    assert note["title"] == "A client is waiting"
    assert note["body"].splitlines() == ["Payroll laptop", "Joined a moment ago"]
    expect(page.locator("#said")).to_have_text("A client has joined and needs you: Payroll laptop")
    vendor.add("Another")
    expect(row_of(page, "Another")).to_be_visible()
    did(page, sounds=1, notes=1)
    page.evaluate("lastNote.onclick()")
    expect(page.get_by_role("heading", name="Payroll laptop", level=1)).to_be_visible()


def test_whoever_waits_when_the_page_opens_is_shown_and_not_called_out(alone, choose, vendor, portal):
    choose(sound=True, notification=True)
    number = vendor.add("Payroll laptop", status=1)
    portal.known(number, 1)
    portal.ask("UPDATE invitations_invitation SET joined_at = datetime(joined_at, '-45 seconds')")
    page = open_tab(alone)
    page.keyboard.press("Shift")
    vendor.add("Another")
    expect(row_of(page, "Another")).to_be_visible()
    assert page.evaluate("[did.sounds, did.notes.length]") == [0, 0]


def test_a_hidden_tab_asks_only_who_waits_and_catches_up(alone, choose, vendor):
    choose(sound=True, notification=True)
    numbers = [vendor.add("Payroll laptop"), vendor.add("Reception")]
    page = open_tab(alone)
    expect(row_of(page, "Reception")).to_be_visible()
    page.keyboard.press("Shift")
    page.wait_for_timeout(300)
    asked: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    page.evaluate("hide(true)")
    vendor.join(numbers[0])
    did(page, sounds=1, notes=1)
    expect(page).to_have_title(re.compile(r"^\(1\) Board"))
    expect(page.locator("#favicon")).to_have_attribute("href", re.compile("favicon-needs"))
    assert row_of(page, "Payroll laptop").get_by_text("Client joined").count() == 0
    assert not [url for url in asked if "/board/rows/" in url]
    assert [url for url in asked if "/board/waiting/" in url]
    vendor.leave(numbers[0])
    expect(page).to_have_title(re.compile(r"^Board"))
    expect(page.locator("#favicon")).to_have_attribute("href", re.compile(r"favicon\."))
    vendor.rename(numbers[1], "Front desk")
    page.evaluate("hide(false)")
    expect(row_of(page, "Front desk")).to_be_visible()
    assert [url for url in asked if "/board/rows/" in url]
    asked.clear()
    page.wait_for_timeout(1_500)
    assert not [url for url in asked if "/board/waiting/" in url]


def test_a_hidden_page_of_one_invitation_calls_for_the_whole_team(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    first, second = vendor.add("Payroll laptop"), vendor.add("Reception")
    portal.known(second)
    page = open_tab(alone, f"/invitations/{portal.known(first)}/")
    page.evaluate("hide(true)")
    vendor.join(second)
    did(page, sounds=0, notes=1)
    expect(page).to_have_title(re.compile(r"^\(1\) Payroll laptop"))
    page.evaluate("hide(false)")
    expect(page).to_have_title(re.compile(r"^Payroll laptop"))


def test_a_client_outside_the_filter_is_called_out_as_well(alone, choose, vendor):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    page = open_tab(alone, "/?f=session")
    vendor.join(number)
    did(page, sounds=0, notes=1)


def test_a_page_that_lists_nobody_calls_as_well(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    portal.known(number)
    page = open_tab(alone, "/history/")
    vendor.join(number)
    did(page, sounds=0, notes=1)
    expect(page).to_have_title(re.compile(r"^\(1\) History"))


def test_a_page_in_view_where_one_types_stays_after_sign_out_elsewhere(alone, vendor):
    page = open_tab(alone, "/invitations/new/")
    page.get_by_label("Client name").fill("Half a na")
    alone.clear_cookies()
    with page.expect_event("response", lambda answer: "HX-Redirect".lower() in answer.headers):
        pass
    page.wait_for_timeout(500)
    expect(page.get_by_label("Client name")).to_have_value("Half a na")


def test_two_tabs_call_once(alone, choose, vendor):
    choose(sound=True, notification=True)
    number = vendor.add("Payroll laptop")
    tabs = [open_tab(alone), open_tab(alone)]
    for tab in tabs:
        tab.keyboard.press("Shift")
    vendor.join(number)
    for tab in tabs:
        expect(tab).to_have_title(re.compile(r"^\(1\) Board"))
    tabs[0].wait_for_timeout(500)
    counted = [tab.evaluate("[did.sounds, did.notes.length]") for tab in tabs]
    assert [sum(each) for each in zip(*counted, strict=True)] == [1, 1]


def test_a_flood_is_summed_up(alone, choose, vendor):
    choose(sound=True, notification=True)
    numbers = [vendor.add(f"Client {index}") for index in range(4)]
    page = open_tab(alone)
    page.keyboard.press("Shift")
    vendor.join(numbers[0])
    did(page, sounds=1, notes=1)
    for number in numbers[1:]:
        vendor.join(number)
    expect(page).to_have_title(re.compile(r"^\(4\) Board"))
    did(page, sounds=1, notes=1)
    # Ten seconds later, for the page: the mark of the last call is moved instead of waiting.
    page.evaluate(
        """() => new Promise((resolve) => {
          indexedDB.open("alerts").onsuccess = ({ target }) => {
            const step = target.result.transaction("told", "readwrite"), kept = step.objectStore("told");
            for (const channel of ["sound", "notification"])
              kept.get(channel).onsuccess = ({ target: { result } }) =>
                kept.put({ ...result, at: result.at - 10000 }, channel);
            step.oncomplete = () => { target.result.close(); resolve(); };
          };
        })"""
    )
    vendor.add("One more")
    did(page, sounds=2, notes=2)
    assert page.evaluate("did.notes[1].title") == "Clients waiting: 3"


def test_switches_are_saved_and_honoured(alone, choose, vendor, portal):
    forget(portal)
    number = vendor.add("Payroll laptop")
    page = open_tab(alone)
    bell = page.get_by_role("button", name="Alerts are off")
    bell.click()
    expect(page.locator("#alerts-state")).to_have_text("Alerts are off.")
    with page.expect_response("**/board/alerts/") as saved:
        page.get_by_label("Play a sound").check()
    assert saved.value.status == 204
    expect(page.locator("#alerts-state")).to_have_text("Alerts are on.")
    expect(page.get_by_role("button", name="Alerts are on")).to_be_visible()
    page.get_by_role("button", name="Test").click()
    did(page, sounds=1, notes=0)
    vendor.join(number)
    did(page, sounds=2, notes=0)
    page.reload()
    page.evaluate("document.getElementById('alerts').showPopover()")
    expect(page.get_by_label("Play a sound")).to_be_checked()
    expect(page.get_by_label("Show a desktop notification")).not_to_be_checked()
    expect(page.locator("#alerts-state")).to_contain_text("press Test once")
    expect(page.get_by_role("button", name="Alerts are off")).to_be_visible()


def test_the_panel_says_what_the_browser_forbids(alone, choose):
    choose(sound=False, notification=True)
    page = alone.new_page()
    page.add_init_script("Notification.permission = 'denied'")
    page.goto("/")
    expect(page.get_by_role("button", name="Alerts are off")).to_be_visible()
    page.get_by_role("button", name="Alerts are off").click()
    expect(page.locator("#alerts-state")).to_contain_text("blocked by the browser")


def test_a_browser_that_lacks_everything_still_has_a_board(alone, choose, vendor):
    choose(sound=True, notification=True)
    number = vendor.add("Payroll laptop")
    page = alone.new_page()
    page.add_init_script(
        "for (const name of ['Notification', 'AudioContext', 'Worker']) delete window[name];"
        "Object.defineProperty(navigator, 'locks', { value: undefined })"
    )
    page.goto("/")
    page.keyboard.press("Shift")
    page.evaluate("hide(true)")
    vendor.join(number)
    page.evaluate("hide(false)")
    expect(page).to_have_title(re.compile(r"^\(1\) Board"))
    page.get_by_role("button", name="Alerts are off").click()
    expect(page.locator("#alerts-state")).to_have_text("This browser cannot show notifications.")


def test_a_hidden_tab_goes_to_sign_in_after_sign_out_elsewhere(alone, vendor):
    vendor.add("Payroll laptop")
    page = open_tab(alone)
    alone.clear_cookies()
    page.evaluate("hide(true)")
    page.wait_for_url("**/accounts/login/?next=%2F")


def test_without_storage_a_tab_still_calls_once(alone, choose, vendor):
    choose(sound=False, notification=True)
    alone.add_init_script("Object.defineProperty(window, 'indexedDB', { get: () => undefined })")
    number = vendor.add("Payroll laptop")
    page = open_tab(alone)
    vendor.join(number)
    did(page, sounds=0, notes=1)
    vendor.add("Another")
    expect(row_of(page, "Another")).to_be_visible()
    did(page, sounds=0, notes=1)


def test_an_answer_cut_off_half_way_loses_nobody(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    portal.known(number)
    cut: list[str] = []

    def answer(route):
        response = route.fetch()
        if not cut and "Payroll" in response.text():
            cut.append(response.text())
            return route.fulfill(response=response, body="{")
        return route.fulfill(response=response)

    alone.route("**/board/waiting/**", answer)
    page = open_tab(alone, "/history/")
    vendor.join(number)
    did(page, sounds=0, notes=1)
    assert cut


def test_a_page_of_one_invitation_asks_who_waits_once_per_change(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    first, second = vendor.add("Payroll laptop"), vendor.add("Reception")
    portal.known(second)
    address = f"/invitations/{portal.known(first)}/"
    asked: list[str] = []
    polls: list[int] = []
    alone.on("request", lambda request: asked.append(request.url) if "/board/waiting/" in request.url else None)
    alone.on("response", lambda answer: polls.append(answer.status) if f"{address}live/" in answer.url else None)
    page = open_tab(alone, address)
    page.wait_for_timeout(4_000)
    assert asked, "who waits already"
    assert 304 in polls
    assert len(asked) <= 1 + polls.count(200), "unchanged polls"
    vendor.join(second)
    did(page, sounds=0, notes=1)
    assert len(asked) <= 1 + polls.count(200)


def test_a_hidden_page_where_one_types_stays_and_calls_again_after_sign_in(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    portal.known(number)
    cookies = alone.cookies()
    page = open_tab(alone, "/invitations/new/")
    page.get_by_label("Client name").fill("Half a na")
    alone.clear_cookies()
    page.evaluate("hide(true)")
    with page.expect_event("response", lambda answer: "HX-Redirect".lower() in answer.headers):
        pass
    page.wait_for_timeout(500)
    expect(page.get_by_label("Client name")).to_have_value("Half a na")
    alone.add_cookies(cookies)
    vendor.join(number)
    did(page, sounds=0, notes=1)


def test_a_phone_that_has_the_name_but_not_the_thing_says_so(alone, choose, vendor):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    page = alone.new_page()
    page.add_init_script(
        "const Note = class { constructor() { throw new TypeError('Illegal constructor'); } };"
        "Note.permission = 'granted'; window.Notification = Note;"
    )
    page.goto("/")
    expect(page.get_by_role("button", name="Alerts are on")).to_be_visible()
    vendor.join(number)
    page.get_by_role("button", name="Alerts are off").click()
    expect(page.locator("#alerts-state")).to_have_text("This browser cannot show notifications.")


def test_a_client_is_announced_above_an_open_dialog(alone, vendor):
    number = vendor.add("Payroll laptop")
    page = open_tab(alone)
    page.keyboard.press("n")
    expect(page.get_by_role("dialog").get_by_label("Client name")).to_be_visible()
    vendor.join(number)
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text(
        "A client has joined and needs you: Payroll laptop"
    )
    page.keyboard.press("Escape")
    expect(page.locator("body > #said")).to_have_count(1)


def test_after_a_deploy_a_hidden_page_still_calls_and_moves_on(alone, choose, vendor, portal):
    choose(sound=False, notification=True)
    number = vendor.add("Payroll laptop")
    portal.known(number)
    page = open_tab(alone, "/invitations/new/")
    page.get_by_label("Client name").fill("Half a na")
    page.evaluate("document.documentElement.dataset.release = 'an older one'; hide(true)")
    vendor.join(number)
    did(page, sounds=0, notes=1)
    expect(page.get_by_label("Client name")).to_have_value("Half a na")
    other = open_tab(alone, "/history/")
    with other.expect_event("load"):
        other.evaluate("document.documentElement.dataset.release = 'an older one'; hide(true)")
