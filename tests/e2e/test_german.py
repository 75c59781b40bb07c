"""German pages in a browser: longer words, the same page. Small screens, large letters, keyboard, no scripts, axe."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import TAGS, violations
from tests.installation import PASSWORD

GERMAN = {"locale": "de-DE"}
STRANGERS = ("login", "password/reset", "password/reset/done", "password/reset/key/1-x", "enrol/none", "nowhere")
OWN = ("security", "security/app", "security/passkeys/add", "password/change", "logout", "reauthenticate")
OVERFLOWS = "document.documentElement.scrollWidth > innerWidth"


def look(page: Page) -> None:
    """On a phone: axe, the narrowest screen, and letters of twice the size. Nothing scrolls sideways."""
    assert page.locator("html").get_attribute("lang") == "de"
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(AXE_SCRIPT + "; 0")
    assert violations(page, TAGS) == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert not page.evaluate(OVERFLOWS), "at 320 px"
    page.set_viewport_size({"width": 640, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert not page.evaluate(OVERFLOWS), "at 200 %"


@pytest.mark.parametrize("name", ["", "forgetful"])
def test_german_pages_fit_and_can_be_used_by_everybody(name, open_page, reports):
    reports.expect(404, 410)
    page = open_page(name, "/accounts/login/", **GERMAN)
    if name:  # a change of factors needs a confirmation of a moment ago
        page.goto("/accounts/reauthenticate/")
        page.get_by_label("Passwort").fill(PASSWORD)
        page.get_by_role("button", name="Bestätigen").click()
        expect(page).to_have_url("/")
        assert page.locator("html").get_attribute("lang") == "en", "the board"
    for path in OWN if name else STRANGERS:
        page.goto(f"/accounts/{path}/")
        assert page.url.endswith(f"/accounts/{path}/")
        look(page)


def test_a_sign_in_by_keyboard_and_a_refusal_in_german(open_page):
    page = open_page("", "/accounts/login/", **GERMAN)
    expect(page.get_by_label("Benutzername oder E-Mail-Adresse")).to_be_focused()
    page.keyboard.type("agent")
    page.keyboard.press("Tab")
    page.keyboard.type("falsch")
    order = []
    for _ in range(3):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.innerText"))
    assert order == ["Anmelden", "Mit Passkey anmelden", "Passwort vergessen?"]
    page.get_by_label("Passwort").press("Enter")
    expect(page.get_by_role("alert").filter(visible=True)).to_have_text("Benutzername oder Passwort ist falsch.")
    look(page)


def test_a_sheet_that_opens_on_a_german_page_says_that_it_is_english(open_page):
    page = open_page("agent", "/accounts/security/", width=390, **GERMAN)
    page.get_by_role("link", name="Neue Einladung").click()
    expect(page.get_by_role("dialog", name="New invitation")).to_have_attribute("lang", "en")


def test_without_scripts_german_is_asked_for_just_the_same(open_page):
    page = open_page("", "/accounts/login/", java_script_enabled=False, **GERMAN)
    expect(page.get_by_role("button")).to_have_text(["Anmelden"])
    page.get_by_role("link", name="Passwort vergessen?").click()
    expect(page.get_by_role("heading", name="Passwort zurücksetzen")).to_be_visible()
