"""What happens when a session ends while pages are open, and the ways back in."""

from __future__ import annotations

import email
import re
from email import policy
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import sign_in
from tests.installation import PASSWORD, wait_until

NEW_PASSWORD = "another long and boring sentence"


def end_session(page, portal):
    """The server forgets the session; the browser keeps the cookie."""
    (key,) = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessionid"]
    portal.ask("DELETE FROM accounts_session WHERE session_key = ?", key)


@pytest.fixture
def signed_in(open_page):
    """A window with a session of its own, so that ending it disturbs nobody."""

    def enter(name="agent", path="/"):
        page = open_page("", path)
        sign_in(page, name)
        expect(page).not_to_have_url(re.compile("/login/"))
        return page

    return enter


def test_the_board_goes_to_sign_in_and_comes_back(signed_in, portal):
    page = signed_in()
    end_session(page, portal)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    expect(page).to_have_url(f"{portal.url}/")


def test_a_filtered_board_comes_back_as_it_was(signed_in, portal):
    page = signed_in("agent", "/?f=waiting&q=Payroll")
    end_session(page, portal)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()


def test_connect_after_the_end_leads_to_the_detail_page(signed_in, vendor, portal):
    number = vendor.add("Front desk", status=1)
    public_id = portal.known(number, status=1)
    page = signed_in("agent", f"/invitations/{public_id}/")
    page.route("**/live/", lambda route: route.fulfill(status=304))  # else the page itself goes to sign-in first
    end_session(page, portal)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to Front")).click()
    tab = opened.value
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(tab, "agent")
    expect(tab.get_by_role("heading", name="Front desk")).to_be_visible()
    expect(tab).to_have_url(f"{portal.url}/invitations/{public_id}/")
    assert vendor.ledger.count("link_minted") == 0


def test_signing_out_in_one_tab_ends_the_others(signed_in):
    page = signed_in()
    other = page.context.new_page()
    other.goto("/history/")
    other.get_by_role("button", name="account menu").click()
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_form_sent_after_the_end_keeps_nothing_and_says_where_to_go(signed_in, vendor, portal):
    page = signed_in("agent", "/invitations/new/")
    page.get_by_label("Client name").fill("Too late")
    end_session(page, portal)
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="New invitation")).to_be_visible()
    assert vendor.ledger.count("created") == 0


def test_a_password_is_changed(signed_in, portal):
    page = signed_in("careful", "/accounts/password/change/")
    page.get_by_label("Current Password").fill(PASSWORD)
    page.locator("[name=password1]").fill(NEW_PASSWORD)
    page.locator("[name=password2]").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    page.goto("/accounts/logout/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    sign_in(page, "careful", NEW_PASSWORD)
    expect(page.get_by_role("heading", name="Board")).to_be_visible()


def test_a_forgotten_password_is_reset_by_mail(open_page, portal):
    page = open_page("", "/accounts/login/")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_role("textbox").fill("forgetful@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()

    def mails() -> list[Path]:
        return [file for file in portal.mails.glob("*") if b"forgetful@example.org" in file.read_bytes()]

    (file,) = wait_until(mails, seconds=20, says=portal.log()[-2000:])
    message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    link = re.search(r"http://\S+/password/reset/key/\S+", message.get_content())
    assert link
    page.goto(link[0])
    page.locator("[name=password1]").fill(NEW_PASSWORD)
    page.locator("[name=password2]").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    page.get_by_role("link", name="Go to sign in").click()
    sign_in(page, "forgetful", NEW_PASSWORD)
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    page.context.clear_cookies()
    page.goto(link[0])
    expect(page.get_by_role("heading", name="This link no longer works")).to_be_visible()


def test_the_first_administrator_enrols(open_page, portal, reports):
    """With everybody's role taken away for a moment, as in a fresh installation."""
    reports.expect(410)
    taken = portal.ask("SELECT user_id, group_id FROM accounts_user_groups")
    portal.ask("DELETE FROM accounts_user_groups")
    try:
        link = re.search(r"http://\S+", portal.manage("create_admin"))
        assert link
        page = open_page("", link[0])
        page.get_by_label("User name").fill("first")
        page.get_by_label("E-mail").fill("first@example.org")
        page.locator("[name=password1]").fill(NEW_PASSWORD)
        page.locator("[name=password2]").fill(NEW_PASSWORD)
        page.get_by_role("button", name="Create account").click()
        sign_in(page, "first", NEW_PASSWORD)
        expect(page.get_by_role("heading", name="Board")).to_be_visible()
        page.goto(link[0])
        expect(page.get_by_role("heading", name="This link no longer works")).to_be_visible()
    finally:
        for user, group in taken:
            portal.ask("INSERT INTO accounts_user_groups (user_id, group_id) VALUES (?, ?)", user, group)
