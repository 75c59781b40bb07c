"""axe finds nothing: WCAG 2.0 to 2.2 A and AA and best practice, in both themes, on desk and phone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from portal.getscreen.simulator import Simulator
from tests.states import VERDICTS, attempt, audit_events, say_verdict

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = "(wanted) => axe.run(document, {runOnly: wanted, resultTypes: ['violations'], preload: false})"
# What the theme can change. The rest was looked at in the light.
COLOURS = ["color-contrast", "link-in-text-block"]
WIDTHS = ((1440, 900), (390, 844))


def violations(page: Page, rules: list[str]) -> list[str]:
    found = page.evaluate(RUN, rules)["violations"]
    return [f"{rule['id']}: {' '.join(node['target'][0] for node in rule['nodes'])[:300]}" for rule in found]


def check(page: Page) -> None:
    """Look in all four ways. Also: no page scrolls sideways."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT + "; 0")
    found = []
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        for theme, rules in (("light", TAGS), ("dark", COLOURS)):
            page.emulate_media(color_scheme=theme)
            found += [f"{width} {theme} {line}" for line in violations(page, rules)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{width} scrolls sideways")
    assert found == [], "\n".join(found)


@pytest.fixture
def full_board(vendor: Simulator, portal):
    """One invitation in every state, with names of every kind."""
    now = time.time()
    numbers = {
        "joined": vendor.add("Tilda Brandtner", status=1, client_os="win", created_at=now - 540),
        "waiting": vendor.add("Konstantina Papadimou-Vale (Estates, 3rd floor)", created_at=now - 60),
        "late": vendor.add("Payroll laptop", created_at=now - 6_700),
        "unnamed": vendor.add("", created_at=now - 180),
        "active": vendor.add("Oke Parrish", status=2, client_os="mac", created_at=now - 840),
        "closed": vendor.add("Ilse Varga-Moor", status=1, client_os="linux", created_at=now - 1_900),
    }
    pages = {name: portal.known(number) for name, number in numbers.items()}
    vendor.close(numbers["closed"])
    moment = datetime.now(UTC).replace(tzinfo=None)
    portal.ask(
        "UPDATE invitations_invitation SET status = 3, closed_at = ? WHERE vendor_id = ?", moment, numbers["closed"]
    )
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")
    return pages


@contextmanager
def failing(vendor: Simulator, portal, fault: str, trouble: str) -> Iterator[None]:
    vendor.fail("list", fault, times=None)
    portal.trouble(trouble)
    yield


def test_the_board(open_page, full_board, vendor, portal):
    page = open_page("agent")
    check(page)
    page.get_by_role("button", name="More actions for Tilda").click()
    expect(page.locator(":popover-open")).to_be_visible()
    check(page)


def test_what_nobody_knows(open_page, full_board, portal):
    attempt(portal)
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")
    page = open_page("agent")
    page.get_by_text("and 6 more").click()
    expect(page.get_by_text("2 older ones are not listed here.")).to_be_visible()
    expect(page.get_by_text("The outcome of 1 older attempt")).to_be_visible()
    check(page)
    page.goto(f"/invitations/{full_board['joined']}/")
    expect(page.get_by_text("A link may have been made")).to_have_count(2)
    check(page)


def test_the_alerts(open_page, full_board):
    page = open_page("agent")
    page.get_by_role("button", name="Alerts are off").click()
    expect(page.get_by_role("dialog", name="Alerts")).to_be_visible()
    check(page)
    page.get_by_label("Play a sound").check()
    expect(page.locator("#alerts-state")).to_have_text("Alerts are on.")
    page.get_by_label("Show a desktop notification").check()
    expect(page.locator("#alerts-state")).to_contain_text("blocked by the browser")
    page.evaluate("document.getElementById('release').hidden = false")
    check(page)


@pytest.mark.parametrize("policy", ["shown", "off"])
def test_the_board_with_other_previews(open_page, full_board, portal, policy):
    portal.set_policy(previews=policy, recording="ask")
    check(open_page("agent"))


def test_the_board_of_an_auditor(open_page, full_board):
    check(open_page("auditor"))


def test_the_empty_board(open_page):
    check(open_page("agent"))


def test_an_empty_search(open_page, full_board):
    check(open_page("agent", "/?q=nobody"))


@pytest.mark.parametrize(
    ("fault", "trouble"), [("status_502", "unreachable"), ("status_403", "key"), ("status_402", "quota")]
)
def test_the_board_in_trouble(open_page, full_board, vendor, portal, fault, trouble):
    with failing(vendor, portal, fault, trouble):
        check(open_page("agent"))


@pytest.mark.parametrize("left", [0, 3])
def test_the_board_with_little_left(open_page, full_board, vendor, portal, left):
    vendor.remaining = left
    page = open_page("agent")
    expect(page.get_by_role("banner")).to_contain_text(f"{left} sessions left")
    check(page)
    page.goto("/invitations/new/")
    check(page)


@pytest.mark.parametrize("dialog", ["New invitation", "Keyboard shortcuts"])
def test_dialogs(open_page, full_board, dialog):
    page = open_page("agent")
    if dialog == "New invitation":
        page.get_by_role("link", name=dialog).first.click()
    else:
        page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)


def test_the_form_of_a_new_invitation(open_page, reports):
    reports.expect(422)
    page = open_page("agent", "/invitations/new/")
    check(page)
    page.get_by_label("Client name").evaluate("(field) => field.removeAttribute('maxlength')")
    page.get_by_label("Client name").fill("x" * 101)
    page.get_by_role("button", name="Create invitation").click()
    expect(page.locator(".field-error")).to_be_visible()
    check(page)


@pytest.mark.parametrize("state", ["waiting", "joined", "active", "closed"])
def test_an_invitation(open_page, full_board, state):
    check(open_page("lead", f"/invitations/{full_board[state]}/"))


def test_an_invitation_made_a_moment_ago(open_page):
    page = open_page("agent", "/invitations/new/")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.locator("#code")).to_be_visible()
    check(page)


@pytest.mark.parametrize("verb", ["rename", "close"])
def test_forms_of_an_invitation(open_page, full_board, verb):
    check(open_page("lead", f"/invitations/{full_board['joined']}/{verb}/"))


def test_a_connection_that_failed(open_page, full_board, vendor, reports):
    reports.expect(503)
    page = open_page("agent")
    vendor.fail("connect", "status_429")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to Tilda")).click()
    expect(opened.value.get_by_role("button", name="Try again")).to_be_visible()
    check(opened.value)


@pytest.mark.parametrize("name", ["agent", "auditor"])
@pytest.mark.parametrize("path", ["/history/", "/audit/", "/history/?q=nobody", "/audit/?ticket=nobody"])
def test_tables(open_page, full_board, path, name):
    check(open_page(name, path))


def test_wrong_filters_of_the_audit_log(open_page, reports):
    reports.expect(422)
    page = open_page("auditor", "/audit/?network=everywhere&reference=1&before=x")
    expect(page.get_by_text("Nothing was searched")).to_be_visible()
    check(page)


@pytest.mark.parametrize("state", list(VERDICTS))
def test_what_the_check_of_the_log_says(open_page, portal, state):
    say_verdict(portal, state)
    check(open_page("auditor", "/audit/"))


def test_events_of_every_kind_of_page(open_page, portal):
    for name, address in audit_events(portal).items():
        page = open_page("auditor", address)
        for summary in page.locator("main summary").all():
            summary.click()
        expect(page.get_by_role("heading", name="Record", exact=True)).to_be_visible()
        check(page)
        assert name


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("auditor", "/invitations/new/", 403),
        ("agent", "/nowhere/", 404),
        ("newcomer", "/", 403),
        ("", "/accounts/enrol/no-such-token/", 410),
    ],
)
def test_refusals(open_page, reports, name, path, status):
    reports.expect(status)
    check(open_page(name, path))


@pytest.mark.parametrize("path", ["login", "password/reset", "password/reset/done", "password/reset/key/1-x"])
def test_pages_without_sign_in(open_page, path):
    check(open_page("", f"/accounts/{path}/"))


def test_a_wrong_password(open_page):
    page = open_page("", "/accounts/login/")
    page.locator("[name=login]").fill("agent")
    page.locator("[name=password]").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page)


@pytest.mark.parametrize("path", ["password/change", "logout", "security", "reauthenticate"])
def test_pages_of_ones_own_account(open_page, path):
    check(open_page("agent", f"/accounts/{path}/"))
