"""A client on a phone at the join page, while an agent looks on: with and without scripts, small, large and German."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from invitations.phrases import words_of
from portal.getscreen.simulator import Simulator
from tests.e2e.test_accessibility import COLOURS, TAGS, violations
from tests.e2e.test_german import OVERFLOWS

OWN = (
    "UPDATE invitations_invitation SET is_external = 0, created_by_name = 'Mika Lindqvist',"
    " created_by_id = (SELECT id FROM accounts_user WHERE username = 'agent')"
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def tilda(vendor: Simulator, portal) -> int:
    """An invitation of the agent's, by its number at the vendor."""
    portal.set_policy(shared_link="join", supporter_name="first")
    number = vendor.add("Tilda Brandtner")
    portal.known(number)
    portal.ask(OWN)
    yield number
    portal.set_policy(shared_link="vendor")


def check(page: Page) -> None:
    """axe in both themes, the narrowest screen, there letters of twice the size as well. Nothing scrolls sideways."""
    page.set_viewport_size(PHONE)
    page.evaluate(AXE_SCRIPT + "; 0")
    for theme, rules in (("light", TAGS), ("dark", COLOURS)):
        page.emulate_media(color_scheme=theme)
        assert violations(page, rules) == [], theme
    page.set_viewport_size({"width": 320, "height": 640})
    assert not page.evaluate(OVERFLOWS), "at 320 px"
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert not page.evaluate(OVERFLOWS), "at 320 px and 200 %"
    page.set_viewport_size(PHONE)
    page.evaluate("document.documentElement.style.fontSize = ''")


def test_a_client_types_the_code_compares_the_words_and_goes_on_while_the_agent_looks(
    open_page, tilda, vendor, portal, reports
):
    reports.expect(409, 422)
    (phrase,) = portal.ask("SELECT phrase FROM invitations_invitation")[0]
    words, code = words_of(phrase, "en"), vendor.row(tilda).code
    agent = open_page("agent", f"/invitations/{portal.known(tilda)}/")
    expect(agent.get_by_text(f"Say {words}")).to_be_visible()

    client = open_page("", "/accounts/login/", **PHONE)
    client.get_by_role("link", name="Type a code").click()
    client.context.clear_cookies()  # those of the sign-in page
    check(client)
    client.get_by_label("Type your 9-digit code").fill(f"{code[:3]} {code[3:6]}")
    client.keyboard.press("Enter")
    expect(client.get_by_role("alert")).to_contain_text("A code has nine digits, and these are 6.")
    check(client)
    field = client.get_by_label("Type your 9-digit code")
    expect(field).to_have_value(f"{code[:3]} {code[3:6]}")
    field.fill(f"{code[:3]}-{code[3:6]}-{code[6:]}")
    client.get_by_role("button", name="Continue").click()
    expect(client.get_by_role("heading", name="Mika helps you on your screen")).to_be_visible()
    expect(client.get_by_text(words)).to_be_visible()
    check(client)
    assert client.context.cookies() == []
    client.reload()
    client.get_by_role("button", name="Continue").click()
    client.wait_for_url(f"{vendor.public_url}/invite/{code}")
    assert [request.headers.get("referer") for request in vendor.ledger.requests if "invite" in request.path] == [None]
    expect(agent.get_by_text("Client went on from the join page")).to_be_visible()

    vendor.join(tilda, "android")
    portal.known(tilda, status=1)
    client.goto(f"/join/{code}")
    expect(client.get_by_text("Is that you? Then all is well")).to_be_visible()
    check(client)


def test_a_link_opens_in_german_without_scripts_and_leads_on(open_page, tilda, vendor, portal):
    (phrase,) = portal.ask("SELECT phrase FROM invitations_invitation")[0]
    agent = open_page("agent", f"/invitations/{portal.known(tilda)}/")
    link = agent.locator("#link").inner_text()
    assert link.startswith(f"{portal.url}/j/{vendor.row(tilda).code}-")
    client = open_page("", link, **PHONE, locale="de-DE", java_script_enabled=False)
    assert client.locator("html").get_attribute("lang") == "de"
    expect(client.get_by_text(words_of(phrase, "de"))).to_be_visible()
    client.get_by_role("link", name="English").click()
    expect(client.get_by_text(words_of(phrase, "en"))).to_be_visible()
    client.get_by_role("link", name="Deutsch").click()
    client.get_by_role("button", name="Weiter").click()
    client.wait_for_url(f"{vendor.public_url}/invite/{vendor.row(tilda).code}")


def test_what_is_over_or_too_much_is_told_in_german_and_fits_as_well(open_page, tilda, vendor, portal, reports):
    reports.expect(404, 410, 429)
    client = open_page("", "/join/000000000", **PHONE, locale="de-DE")
    expect(client.get_by_role("alert")).to_contain_text("Diesen Code kennen wir nicht.")
    portal.ask("UPDATE accounts_tally SET count = 1000")
    client.get_by_role("button", name="Weiter").click()
    expect(client.get_by_role("heading", name="Zu viele falsche Codes")).to_be_visible()
    check(client)
    portal.ask("DELETE FROM accounts_tally")
    code = vendor.row(tilda).code
    vendor.close(tilda)
    portal.known(tilda, status=3)
    client.goto(f"/join/{code}")
    expect(client.get_by_role("heading", name="Diese Sitzung ist vorbei")).to_be_visible()
    check(client)
