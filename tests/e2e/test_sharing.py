"""An invitation on its way to the client: agent, colleague and client at once, with and without https and scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import check
from tests.installation import wait_until

CLIPBOARD = ["clipboard-read", "clipboard-write"]
# What a browser is like that has opened a page by plain http, from elsewhere than its own machine.
PLAIN_HTTP = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
Object.defineProperty(window, "isSecureContext", { value: false });
"""


def read(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def open_dialog(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"More actions for {name}").click()
    page.get_by_role("link", name="Share…").click()
    expect(page.get_by_role("heading", name=f"Share with {name}")).to_be_visible()


def test_from_the_board_to_a_copied_link_or_code_in_two_actions(open_page, vendor):
    page = open_page("agent", permissions=CLIPBOARD)
    page.keyboard.press("n")
    expect(page.get_by_label("Client name")).to_be_focused()
    page.keyboard.press("Enter")  # one: create
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()
    page.keyboard.press("Enter")  # two: copy
    (row,) = vendor.rows().values()
    wait_until(lambda: read(page) == f"{vendor.public_url}/invite/{row.code}", seconds=5)
    page.keyboard.press("c")
    wait_until(lambda: read(page) == row.code, seconds=5)


def test_agent_auditor_and_client_see_each_other_s_steps(open_page, vendor, portal):
    here = f"/invitations/{portal.known(number := vendor.add('Tilda Brandtner'))}/"
    auditor = open_page("auditor", here)
    page = open_page("agent", permissions=CLIPBOARD)
    open_dialog(page, "Tilda Brandtner")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("link", name="Deutsch").click()
    expect(dialog.get_by_role("link", name="Deutsch")).to_have_attribute("aria-current", "true")
    expect(dialog.get_by_role("button", name="Copy link")).to_be_focused()
    dialog.get_by_role("button", name="Copy message").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert read(page).startswith("Guten Tag,\n\ndamit ")

    dialog.get_by_role("link", name="E-mail…").click()
    expect(dialog.get_by_label("E-mail address")).to_be_focused()
    dialog.get_by_label("E-mail address").fill("tilda@example.org")
    expect(dialog.locator("#mail-preview")).to_contain_text("Guten Tag,")
    dialog.get_by_label("Language").select_option("en")
    dialog.get_by_label("A line of your own").fill("As promised on the phone.")
    expect(dialog.locator("#mail-preview")).to_contain_text("As promised on the phone.")
    expect(dialog.locator("#mail-preview")).to_contain_text("Hello,")
    assert portal.ask("SELECT count(*) FROM invitations_delivery") == [(0,)]
    page.keyboard.press("Enter")
    expect(page.get_by_text("is on its way to the mail server")).to_be_visible()
    expect(auditor.get_by_text("By e-mail to t…@example.org. Handed to the mail server")).to_be_visible()
    (mail,) = [mail for mail in portal.mails.iterdir() if "As promised on the phone." in mail.read_text()]
    body = mail.read_text()
    mail.unlink()  # others look for theirs
    assert "To: tilda@example.org" in body
    assert portal.ask('SELECT "to", body FROM invitations_delivery') == [("", "")], "forgotten once it is handed over"

    portal.ask("UPDATE invitations_delivery SET state = 'failed', ended_at = ordered_at, trouble = 'No such mailbox.'")
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")
    page.get_by_role("link", name="Send again").click()
    expect(page.get_by_role("dialog").get_by_label("E-mail address")).to_have_value("tilda@example.org")
    page.get_by_role("link", name="Cancel").click()

    client = page.context.browser.new_page(viewport={"width": 390, "height": 844})
    client.goto(re.search(r"http\S+", body)[0])
    client.get_by_role("button", name="Join").click()
    client.close()
    portal.known(number, status=1)
    expect(page.get_by_text("Client joined").first).to_be_visible()


def test_without_https_the_text_is_selected_to_be_copied_by_hand(open_page, vendor, portal):
    portal.known(vendor.add("Tilda"))
    page = open_page("lead")  # whose alerts no other test switches on
    page.add_init_script(PLAIN_HTTP)
    page.reload()
    selected = "getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart)"
    page.get_by_role("button", name="Copy link for Tilda").click()
    expect(page.get_by_text("This page was opened without https")).to_be_visible()
    assert page.evaluate(selected) == f"{vendor.public_url}/invite/{next(iter(vendor.rows().values())).code}"
    check(page)
    page.keyboard.press("Escape")
    expect(page.get_by_text("This page was opened without https")).to_be_hidden()

    open_dialog(page, "Tilda")
    page.get_by_role("dialog").get_by_role("button", name="Copy message").click()
    expect(page.get_by_role("textbox", name="Copy it by hand")).to_be_focused()
    assert page.evaluate(selected).startswith("Hello,")
    page.get_by_role("button", name="Done").first.click()
    page.get_by_role("dialog").get_by_role("link", name="Done").click()

    page.get_by_role("button", name="Alerts are off").click()
    page.get_by_label("Show a desktop notification").check()
    expect(page.locator("#alerts-state")).to_contain_text("browsers allow them with https only")
    with page.expect_response("**/board/alerts/"):
        page.get_by_label("Show a desktop notification").uncheck()


def test_without_javascript_everything_but_the_copying_is_there(open_page, vendor, portal):
    here = f"/invitations/{portal.known(vendor.add('Oke Parrish'))}/"
    page = open_page("agent", "/", java_script_enabled=False)
    page.goto(f"{here}share/")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    expect(page.get_by_text("use your browser’s own Print")).to_be_visible()
    page.get_by_text("Read the message first").click()
    expect(page.locator("#message")).to_contain_text("Guten Tag,")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Ihr Code")).to_be_visible()
    expect(page.get_by_text("Bleiben Sie mit uns am Telefon")).to_be_visible()
    expect(page.locator("img.qr")).to_be_visible()
    expect(page.get_by_role("link", name="Deutsch")).to_be_hidden()
    page.emulate_media(media="screen")
    page.get_by_role("link", name="Read aloud").click()
    expect(page.locator(".aloud li")).to_have_count(3)
    page.goto(f"{here}share/mail/")
    page.get_by_label("E-mail address").fill("oke@example.org")
    page.get_by_label("Language").select_option("en")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#mail-preview")).to_contain_text("Hello,")
    page.get_by_label("E-mail address").press("Enter")
    # Without JavaScript the page stays as it was made, and the mail may have left by then.
    sent = re.compile(r"By e-mail to oke@example\.org\. (On its way|Handed to the mail server)")
    expect(page.get_by_text(sent)).to_be_visible()


@pytest.mark.parametrize("path", ["share/", "share/?as=read&language=de", "share/?as=qr", "share/mail/"])
def test_the_pages_are_for_everybody(open_page, vendor, portal, path):
    page = open_page("agent", f"/invitations/{portal.known(vendor.add('Tilda'))}/{path}")
    for summary in page.locator("main summary").all():
        summary.click()
    check(page)
