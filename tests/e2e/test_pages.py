"""Keys, theme, previews, small screens and paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.installation import wait_until

# The row of filters has a scroll of its own; the phone's tables become cards.
TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(".sr, .skip, aside, [popover], .tabs"))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => `${e.tagName}.${e.className}`)
"""


@pytest.fixture
def rows(vendor, portal):
    """The first joined, the second not."""
    numbers = (vendor.add("Front desk", status=1), vendor.add("Payroll laptop"))
    portal.known(numbers[0], status=1)
    portal.known(numbers[1])
    return numbers


def test_single_keys(open_page, rows, vendor):
    page = open_page("agent", permissions=["clipboard-read", "clipboard-write"])
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Front desk", exact=True)).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Payroll laptop", exact=True)).to_be_focused()
    page.keyboard.press("c")
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == vendor.row(rows[1]).code, seconds=5)
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="Front desk", exact=True)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("njk?")
    expect(page.get_by_role("searchbox")).to_have_value("njk?")
    page.get_by_role("heading", name="Board").click()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("n")
    expect(page.get_by_role("dialog", name="New invitation")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Payroll laptop", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Payroll laptop")).to_be_visible()


def test_a_key_connects_to_the_row_and_a_held_key_does_not_do_so_twice(open_page, rows, vendor):
    page = open_page("agent")
    page.get_by_role("link", name="Payroll laptop", exact=True).focus()
    page.keyboard.press("o")
    expect(page.get_by_text("You can connect once the client has joined.")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Front desk", exact=True).focus()
    with page.expect_popup():
        page.keyboard.down("o")
        page.keyboard.down("o")
        page.keyboard.up("o")
    assert len(vendor.ledger.links) == 1


def test_single_keys_are_switched_off_for_the_person_on_every_device(open_page):
    page = open_page("colleague")
    page.keyboard.press("?")
    with page.expect_response("**/accounts/keys/"):
        page.get_by_label("Use single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    for again in (page, open_page("colleague")):
        again.reload()
        again.keyboard.press("n")
        expect(again.get_by_role("dialog")).to_have_count(0)


def test_the_theme_survives_a_reload(open_page):
    page = open_page("agent")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="account menu").click()
    page.get_by_text("Dark", exact=True).click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.goto("/history/")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="account menu").click()
    page.get_by_text("System", exact=True).click()
    page.reload()
    assert page.evaluate(ground) == light


def test_a_desktop_is_shown_after_a_click_alone(open_page, rows, vendor, portal):
    page = open_page("agent", f"/invitations/{portal.known(rows[0])}/")
    page.wait_for_timeout(300)
    assert vendor.ledger.find(".png") == ()
    page.get_by_text("Show the picture").click()
    picture = page.get_by_role("img", name="Desktop of Front desk")
    expect(picture).to_be_visible()
    wait_until(lambda: page.evaluate("document.querySelector('img.shot').naturalWidth > 0"), seconds=5)
    assert [request.operation for request in vendor.ledger.requests if "/preview/" in request.path] == ["preview"]


def test_small_desktops_on_the_board_where_the_policy_shows_them(open_page, rows, portal):
    portal.set_policy(previews="shown")
    page = open_page("agent")
    wait_until(lambda: page.evaluate("document.querySelector('img.thumb')?.naturalWidth > 0"), seconds=5)


def test_the_qr_code_is_drawn(open_page, rows, portal):
    page = open_page("agent", f"/invitations/{portal.known(rows[1])}/")
    wait_until(lambda: page.evaluate("document.querySelector('img.qr')?.naturalWidth > 0"), seconds=5)


@pytest.mark.parametrize("width", [320, 390, 768, 1024])
def test_no_page_scrolls_sideways(open_page, rows, portal, width):
    public_id = portal.known(rows[0])
    page = open_page("lead", width=width, height=800)
    paths = ("/", f"/invitations/{public_id}/", "/invitations/new/", f"/invitations/{public_id}/close/", "/history/")
    for path in (*paths, "/audit/", "/accounts/password/change/", "/accounts/security/"):
        page.goto(path)
        wide = page.evaluate(TOO_WIDE)
        assert wide == [], path
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path


def test_on_the_phone_everything_is_one_thumb_away(open_page, rows):
    page = open_page("agent", width=390, height=844, has_touch=True, is_mobile=True)
    expect(page.get_by_role("button", name="Connect to Front desk")).to_be_in_viewport()
    page.get_by_role("navigation", name="Main, phone").get_by_role("link", name="New invitation").tap()
    page.get_by_label("Client name").fill("From the phone")
    page.get_by_role("button", name="Create invitation").tap()
    expect(page.get_by_role("heading", name="Your invitation is ready")).to_be_visible()
    page.get_by_role("button", name="More").tap()
    expect(page.get_by_role("link", name="Audit log").last).to_be_visible()


def test_paper_shows_a_sheet_for_the_client(open_page, rows, portal, vendor):
    page = open_page("agent", f"/invitations/{portal.known(rows[1])}/")
    page.emulate_media(media="print")
    code = vendor.row(rows[1]).code
    expect(page.get_by_text(f"{code[:3]}\u00a0{code[3:6]}\u00a0{code[6:]}").first).to_be_visible()
    expect(page.get_by_text("Only continue if you are talking to our helpdesk right now.")).to_be_visible()
    expect(page.locator("img.qr")).to_be_visible()
    expect(page.locator(".topbar")).to_be_hidden()
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    expect(page.get_by_role("heading", name="What happened")).to_be_hidden()


def test_why_connect_is_off_can_be_read(open_page, rows):
    page = open_page("agent")
    row = page.get_by_role("listitem").filter(has_text="Payroll laptop")
    row.get_by_role("button", name="Connect", exact=True).click(force=True)  # off, yet it answers
    expect(page.get_by_text("You can connect once the client has joined.")).to_be_visible()
