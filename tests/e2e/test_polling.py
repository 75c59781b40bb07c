"""The page changes under the person's hands, and what they were doing stays."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def two_rows(vendor, portal):
    numbers = (vendor.add("Payroll laptop"), vendor.add("Reception"))
    for number in numbers:
        portal.known(number)
    return numbers


def row_of(page: Page, name: str):
    return page.get_by_role("listitem").filter(has_text=name)


def test_a_joined_client_is_shown_counted_and_announced_once(open_page, vendor, two_rows):
    page = open_page("agent")
    expect(page.locator("#favicon")).to_have_attribute("href", re.compile(r"favicon\."))
    vendor.join(two_rows[0], "linux")
    expect(row_of(page, "Payroll laptop")).to_contain_text("Client joined")
    expect(row_of(page, "Payroll laptop")).to_contain_text("Linux")
    expect(page).to_have_title(re.compile(r"^\(1\) Board"))
    expect(page.locator("#said")).to_have_text("A client has joined and needs you: Payroll laptop")
    expect(page.locator("#favicon")).to_have_attribute("href", re.compile("favicon-needs"))
    expect(page.locator("#tabs")).to_contain_text("Needs you 1")
    vendor.leave(two_rows[0])
    expect(page).to_have_title(re.compile(r"^Board"))
    expect(page.locator("#favicon")).to_have_attribute("href", re.compile(r"favicon\."))


def test_half_typed_search_focus_and_selection_stay(open_page, vendor, two_rows):
    page = open_page("agent")
    search = page.get_by_role("searchbox")
    search.fill("half typed")
    search.evaluate("(field) => field.setSelectionRange(0, 4)")
    vendor.join(two_rows[0])
    expect(row_of(page, "Payroll laptop")).to_contain_text("Client joined")
    expect(search).to_be_focused()
    expect(search).to_have_value("half typed")
    assert search.evaluate("(field) => [field.selectionStart, field.selectionEnd]") == [0, 4]


def test_focus_stays_on_a_row_that_moves_to_another_group(open_page, vendor, two_rows):
    page = open_page("agent")
    link = page.get_by_role("link", name="Payroll laptop", exact=True)
    link.focus()
    vendor.join(two_rows[1])
    expect(row_of(page, "Reception")).to_contain_text("Client joined")
    expect(link).to_be_focused()
    vendor.join(two_rows[0])
    expect(row_of(page, "Payroll laptop")).to_contain_text("Client joined")
    expect(link).to_be_focused()


def test_selected_text_stays_selected(open_page, vendor, two_rows):
    page = open_page("agent")
    page.get_by_role("link", name="Payroll laptop", exact=True).evaluate(
        "(link) => getSelection().selectAllChildren(link)"
    )
    vendor.join(two_rows[1])
    expect(row_of(page, "Reception")).to_contain_text("Client joined")
    assert page.evaluate("getSelection().toString()") == "Payroll laptop"


def test_an_open_menu_stays_open_while_rows_change(open_page, vendor, portal, two_rows):
    page = open_page("lead")
    page.get_by_role("button", name="More actions for Payroll laptop").click()
    menu = page.locator(":popover-open")
    expect(menu).to_be_visible()
    menu.get_by_role("link", name="Rename…").focus()
    vendor.join(two_rows[1])
    expect(row_of(page, "Reception")).to_contain_text("Client joined")
    vendor.add("A third one")
    expect(row_of(page, "A third one")).to_be_visible()
    expect(menu).to_be_visible()
    expect(menu.get_by_role("link", name="Rename…")).to_be_focused()


def test_an_open_dialog_and_its_text_stay(open_page, vendor, two_rows):
    page = open_page("agent")
    page.keyboard.press("n")
    field = page.get_by_role("dialog").get_by_label("Client name")
    field.fill("Half a na")
    vendor.join(two_rows[0])
    expect(row_of(page, "Payroll laptop")).to_contain_text("Client joined")
    expect(field).to_be_focused()
    expect(field).to_have_value("Half a na")


def test_what_was_unfolded_on_the_detail_page_stays(open_page, vendor, portal, two_rows):
    page = open_page("agent", f"/invitations/{portal.known(two_rows[0])}/")
    page.get_by_text("Read the message first").click()
    vendor.rename(two_rows[0], "Payroll desktop")
    expect(page.get_by_role("heading", name="Payroll desktop")).to_be_visible()
    expect(page.locator("#message")).to_be_visible()


def test_an_answer_typed_before_connect_stays(open_page, vendor, portal, two_rows):
    portal.set_policy(recording="ask")
    vendor.join(two_rows[0])
    page = open_page("agent", f"/invitations/{portal.known(two_rows[0], status=1)}/")
    page.get_by_role("radio", name="Yes").check()
    vendor.rename(two_rows[0], "Payroll desktop")
    expect(page.get_by_role("heading", name="Payroll desktop")).to_be_visible()
    expect(page.get_by_role("radio", name="Yes")).to_be_checked()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to Payroll")).click()
    expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    (call,) = vendor.ledger.find("support/connect")
    assert call.query["video"] == "true"


def test_a_filter_stays_through_polls(open_page, vendor, two_rows):
    page = open_page("agent", "/?f=waiting&q=Payroll")
    expect(row_of(page, "Payroll laptop")).to_be_visible()
    vendor.rename(two_rows[0], "Payroll desktop")
    expect(row_of(page, "Payroll desktop")).to_be_visible()
    expect(row_of(page, "Reception")).to_have_count(0)


def test_unchanged_polls_bring_nothing(open_page, two_rows):
    page = open_page("agent")
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if "/board/rows/" in answer.url else None)
    page.wait_for_timeout(3_500)
    assert len(statuses) >= 2
    assert statuses.count(304) >= len(statuses) - 1  # the minute may turn once


def test_a_closed_invitation_is_polled_no_longer(open_page, vendor, portal, two_rows):
    page = open_page("agent", f"/invitations/{portal.known(two_rows[0])}/")
    vendor.close(two_rows[0])
    expect(page.locator(".status").first).to_have_text("Closed")
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "/live/" in request.url else None)
    page.wait_for_timeout(2_500)
    assert polls == []


def test_an_outage_is_shown_and_recovers(open_page, vendor, portal, two_rows):
    page = open_page("agent")
    vendor.fail("list", "status_502", times=None)
    expect(page.get_by_role("alert")).to_contain_text("Getscreen does not answer.")
    expect(page.get_by_role("banner")).to_contain_text("Getscreen unreachable")
    expect(row_of(page, "Payroll laptop")).to_be_visible()
    vendor.clear()
    vendor.join(two_rows[0])
    expect(row_of(page, "Payroll laptop")).to_contain_text("Client joined", timeout=15_000)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("banner")).to_contain_text("Live")


def test_twenty_changing_polls_leave_focus_selection_dialog_and_details_alone(open_page, vendor, portal, two_rows):
    """Two tabs at once: a board with a half-typed search, and one with a dialog above it."""
    search, dialog = open_page("lead"), open_page("lead")
    field = search.get_by_role("searchbox")
    field.fill("half typed")
    field.evaluate("(field) => field.setSelectionRange(2, 6)")
    dialog.keyboard.press("n")
    name = dialog.get_by_role("dialog").get_by_label("Client name")
    name.fill("Half a na")
    name.evaluate("(field) => field.setSelectionRange(1, 3)")
    details = open_page("lead", f"/invitations/{portal.known(two_rows[0])}/")
    details.get_by_text("Read the message first").click()
    for turn in range(20):
        vendor.rename(two_rows[0], f"Turn {turn}")
        for page in (search, dialog):
            expect(page.get_by_role("link", name=f"Turn {turn}", exact=True, include_hidden=True)).to_have_count(1)
        expect(details.get_by_role("heading", name=f"Turn {turn}", exact=True)).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("half typed")
    expect(name).to_be_focused()
    expect(name).to_have_value("Half a na")
    read = "(field) => [field.selectionStart, field.selectionEnd]"
    assert (field.evaluate(read), name.evaluate(read)) == ([2, 6], [1, 3])
    expect(details.locator("#message")).to_be_visible()


def test_twenty_changing_polls_leave_an_open_menu_and_selected_text_alone(open_page, vendor, two_rows):
    page, text = open_page("lead"), open_page("lead")
    page.get_by_role("button", name="More actions for Payroll laptop").click()
    menu = page.locator(":popover-open")
    menu.get_by_role("link", name="Rename…").focus()
    text.get_by_role("link", name="Payroll laptop", exact=True).evaluate(
        "(link) => getSelection().selectAllChildren(link)"
    )
    for turn in range(20):
        vendor.rename(two_rows[1], f"Turn {turn}")
        for each in (page, text):
            expect(each.get_by_role("link", name=f"Turn {turn}", exact=True)).to_be_visible()
    expect(menu.get_by_role("link", name="Rename…")).to_be_focused()
    assert text.evaluate("getSelection().toString()") == "Payroll laptop"


def test_a_portal_that_does_not_answer_is_told_apart_and_heals(open_page, vendor, two_rows, reports):
    reports.expect(503)
    page = open_page("agent")
    banner = page.get_by_role("banner")
    expect(banner).to_contain_text("Live")
    page.route("**/board/rows/**", lambda route: route.fulfill(status=503))
    expect(banner).to_contain_text(re.compile(r"Our own server does not answer, showing \d\d:\d\d:\d\d"))
    expect(page.locator("#live")).to_be_hidden()
    expect(row_of(page, "Payroll laptop")).to_be_visible()
    page.unroute("**/board/rows/**")
    expect(banner).not_to_contain_text("Our own server")
    expect(banner).to_contain_text("Live")


def test_a_network_that_fails_is_told_apart_and_heals(open_page, vendor, two_rows, reports):
    page = open_page("agent")
    expect(page.get_by_role("banner")).to_contain_text("Live")
    page.route("**/board/rows/**", lambda route: route.abort("connectionrefused"))
    expect(page.get_by_role("banner")).to_contain_text("Our own server does not answer")
    page.unroute("**/board/rows/**")
    expect(page.get_by_role("banner")).not_to_contain_text("Our own server")
    # The browser's own line about each request is all there is.
    assert reports.found
    assert all("net::ERR_CONNECTION_REFUSED" in line for line in reports.found)
    reports.clear()


def test_a_page_of_something_in_between_does_not_replace_the_list(open_page, two_rows):
    page = open_page("agent")
    banner = page.get_by_role("banner")
    expect(banner).to_contain_text("Live")
    page.route("**/board/rows/**", lambda route: route.fulfill(status=200, body="<h1>Free wireless network</h1>"))
    expect(banner).to_contain_text("Our own server does not answer")
    expect(row_of(page, "Payroll laptop")).to_be_visible()
    page.unroute("**/board/rows/**")
    expect(banner).not_to_contain_text("Our own server")
    expect(banner).to_contain_text("Live")


def test_of_two_forms_asked_for_the_last_one_opens(open_page, two_rows):
    page = open_page("lead")
    page.route("**/invitations/new/", lambda route: (page.wait_for_timeout(700), route.continue_())[1])
    page.evaluate("""() => {
      document.querySelector("a[data-dialog][href*='/new/']").click();
      document.querySelector("a[data-dialog][href*='/rename/']").click();
    }""")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Rename")
    page.wait_for_timeout(1_200)
    expect(dialog).to_contain_text("Rename")


def test_after_sign_out_elsewhere_a_page_in_view_goes_to_sign_in(open_page, two_rows):
    page = open_page("agent")
    page.context.clear_cookies()
    page.wait_for_url("**/accounts/login/?next=%2F")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def of_an_old_release(page: Page) -> None:
    page.evaluate("document.documentElement.dataset.release = 'an older one'")


def test_an_old_page_reloads_itself_once(open_page, two_rows):
    page = open_page("agent")
    with page.expect_event("load"):
        of_an_old_release(page)
    assert page.evaluate("document.documentElement.dataset.release") != "an older one"
    of_an_old_release(page)
    strip = page.get_by_role("region", name="New version")
    expect(strip).to_contain_text("A new version of the portal is ready.")
    with page.expect_event("load"):
        strip.get_by_role("button", name="Reload").click()


def test_an_old_page_with_half_typed_text_offers_to_reload(open_page, two_rows):
    page = open_page("agent")
    page.get_by_role("searchbox").fill("half typed")
    of_an_old_release(page)
    expect(page.get_by_role("region", name="New version")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("half typed")


def test_a_clock_that_jumps_heals_with_the_next_poll(open_page, two_rows):
    page = open_page("agent")
    expect(page.get_by_role("banner")).to_contain_text("Live")
    for hours in (3, -3):
        page.evaluate(f"(() => {{ const now = Date.now; Date.now = () => now() + {hours * 3_600_000}; }})()")
        expect(page.locator("html:not([data-old]) #live [data-ago]")).to_have_text(re.compile(r"just now|^[1-9] s ago"))
        page.wait_for_timeout(1_200)
        expect(page.locator("html:not([data-old]) #live [data-ago]")).to_have_text(re.compile(r"just now|^[1-9] s ago"))
