"""A client whom nobody takes: pages get louder for everybody until somebody is there, and the chat hears of it."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from tests.e2e.test_accessibility import TAGS, check, violations
from tests.e2e.test_alerts import STUBS, choose, forget  # noqa: F401  # a fixture
from tests.invitations.servers import Receiver, wait_for


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


@pytest.fixture
def alone(browser, portal, reports, session_of):
    context = browser.new_context(base_url=portal.url, reduced_motion="reduce")
    reports.watch(context)
    context.add_init_script(STUBS)
    context.add_cookies(session_of("agent")["cookies"])
    yield context
    context.close()


def look(page):
    """As `check`, without the change of themes, which Django's links fade into."""
    page.evaluate(AXE_SCRIPT + "; 0")
    assert violations(page, TAGS) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def row_of(page, name):
    return page.get_by_role("listitem").filter(has_text=name)


def test_boards_get_louder_by_themselves_and_calm_when_somebody_connects(
    alone,
    open_page,
    portal,
    vendor,
    choose,  # noqa: F811
):
    choose(sound=True, notification=True)
    portal.set_policy(escalate_page_seconds="2")
    number = vendor.add("Payroll laptop")
    agent, colleague = alone.new_page(), open_page("colleague")
    agent.goto("/")
    agent.keyboard.press("Shift")
    vendor.join(number)
    row = row_of(agent, "Payroll laptop")
    expect(row).to_have_attribute("data-status", "1")
    agent.wait_for_function("() => did.notes.length === 1")
    for page in (agent, colleague):
        expect(row_of(page, "Payroll laptop")).to_have_class(re.compile("is-urgent"), timeout=10_000)
        expect(page.get_by_role("alert")).to_contain_text("1 client has been waiting too long.")
    check(colleague)
    portal.ask("UPDATE invitations_invitation SET joined_at = datetime('now', '-130 seconds')")
    portal.set_policy(escalate_page_seconds="2")
    agent.wait_for_function("() => did.notes.length === 2", timeout=20_000)
    note = agent.evaluate("did.notes[1]")
    assert (note["title"], note["requireInteraction"]) == ("Nobody is with a client who waits", True)
    assert note["body"].splitlines()[0] == "Payroll laptop"
    portal.ask("UPDATE invitations_invitation SET taken_by_name = 'Joss Imre', taken_at = datetime('now')")
    portal.set_policy(escalate_page_seconds="2")
    for page in (agent, colleague):
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(row_of(page, "Payroll laptop")).not_to_have_class(re.compile("is-urgent"))


def test_an_administrator_adds_a_webhook_tests_it_and_it_is_called_for_who_waits(open_page, portal, vendor, receiver):
    page = open_page("admin", "/admin/invitations/webhook/add/")
    page.get_by_label("Name:").fill("Chat")
    page.get_by_label("Address:").fill("https://127.0.0.1/hook")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("leads into a private network")).to_be_visible()
    page.get_by_label("Address:").fill(receiver.url.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name="Save", exact=True).click()
    key = page.locator("#key").inner_text()
    look(page)
    page.get_by_role("link", name="Go on to test it").click()
    expect(page.get_by_role("button", name="Send a test now")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Send a test now").click()
    expect(page.get_by_text("Chat: the test has arrived.")).to_be_visible()
    portal.set_policy(escalate_webhook_seconds="1")
    vendor.add("Payroll laptop", status=1)
    headers, body = wait_for(lambda: next((one for one in receiver.calls if b"client.waiting" in one[1]), None))
    assert json.loads(body)["status"] == "joined"
    assert "Payroll" not in body.decode()
    assert headers["X-Portal-Delivery"] == json.loads(body)["delivery"]
    assert key not in portal.log()
    wait_for(lambda: ("sent",) in portal.ask("SELECT state FROM invitations_delivery WHERE webhook_id IS NOT NULL"))
    page.goto("/admin/invitations/delivery/")
    expect(page.get_by_role("row").filter(has_text="Payroll laptop")).to_contain_text("Sent")
    look(page)
    page.goto("/admin/invitations/policy/1/change/")
    look(page)
    page.get_by_role("button", name="Test all webhooks").click()
    expect(page.get_by_text("Chat: the test has arrived.")).to_be_visible()
    assert len(receiver.calls) == 3
