"""Two agents and one client, in two browsers at once: nobody connects beside a colleague without knowing."""

from __future__ import annotations

import re
import threading

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import sign_in


@pytest.fixture
def client(vendor, portal):
    number = vendor.add("Front desk", status=1)
    portal.known(number, status=1)
    return number


def row_of(page):
    return page.get_by_role("listitem").filter(has_text="Front desk")


def menu(page, item):
    row_of(page).get_by_role("button", name=re.compile("More actions")).click()
    return row_of(page).locator(".menu").get_by_text(item)


def connect_of(page):
    return page.get_by_role("button", name=re.compile("Connect to Front desk"))


def press_connect(page):
    with page.context.expect_page() as opened:
        connect_of(page).click()
    return opened.value


def test_one_connects_and_the_other_is_told_who_and_asked(open_page, vendor, client, reports):
    reports.expect(409)
    agent, colleague = open_page("agent"), open_page("colleague")
    is_seen = threading.Event()
    vendor.before("connect", lambda: is_seen.wait(12))
    with agent.context.expect_page() as opened:  # a tab is there once it has its answer
        connect_of(agent).click(no_wait_after=True)
        expect(row_of(colleague).locator(".taken")).to_have_text(re.compile(r"Mika Lindqvist\s+is connecting…"))
        second = press_connect(colleague)
        expect(second.get_by_role("heading", name="Mika Lindqvist is connecting to this client")).to_be_visible()
        is_seen.set()
    first = opened.value
    expect(first.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    assert vendor.ledger.count("link_minted") == 1
    expect(row_of(colleague)).to_contain_text("In session")
    second.get_by_role("button", name="Take over and connect").click()
    # Whom the page named has the client still, so that is no second question.
    expect(second.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    assert vendor.ledger.count("link_minted") == 2
    expect(row_of(agent).locator(".taken")).to_have_text(re.compile("Joss Imre"))
    agent.get_by_role("link", name="Front desk", exact=True).click()
    expect(agent.get_by_text("Taken over by Joss Imre")).to_be_visible()


def test_a_client_goes_from_hand_to_hand_and_back_to_the_queue(open_page, portal, client):
    agent, colleague = open_page("agent"), open_page("")
    sign_in(colleague, "colleague")
    expect(row_of(colleague)).to_have_class("row")
    menu(agent, "Take care of it").click()
    expect(agent.get_by_text("You take care of Front desk now.")).to_be_visible()
    expect(row_of(colleague)).to_have_class("row is-taken")
    expect(colleague).to_have_title(re.compile(r"^Board"))

    menu(agent, "Hand over…").click()
    dialog = agent.get_by_role("dialog")
    choice = dialog.get_by_label("To", exact=True)
    expect(choice).to_be_focused()
    choice.select_option(label="Joss Imre")
    agent.keyboard.press("Tab")
    agent.keyboard.type("Speaks Danish")
    agent.keyboard.press("Enter")
    expect(agent.get_by_text("Front desk is handed over to Joss Imre.")).to_be_visible()
    expect(row_of(colleague)).to_have_class("row is-given")
    expect(row_of(colleague).locator(".taken")).to_have_text(re.compile(r"You\s+handed over"))
    expect(colleague).to_have_title(re.compile(r"^\(1\) Board"))
    expect(colleague.locator("#said")).to_have_text("A client has joined and needs you: Front desk")

    colleague.get_by_role("button", name="account menu").click()
    colleague.get_by_role("button", name="Sign out").click()
    expect(colleague.get_by_role("heading", name="Who takes care of your clients?")).to_be_visible()
    expect(colleague.get_by_label("Front desk")).to_have_value("queue")
    colleague.get_by_role("button", name="Sign out").last.click()
    expect(colleague.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(row_of(agent)).to_have_class("row")
    expect(agent).to_have_title(re.compile(r"^\(1\) Board"))


def test_without_javascript_on_a_phone(open_page, portal, client):
    agent = open_page("agent")
    menu(agent, "Take care of it").click()
    expect(agent.get_by_text("You take care of Front desk now.")).to_be_visible()
    page = open_page("", width=390, height=844, java_script_enabled=False)
    sign_in(page, "colleague")
    page.get_by_role("link", name="Front desk", exact=True).click()
    page.get_by_role("link", name="Take over…").click()
    expect(page.get_by_role("heading", name="Take over Front desk?")).to_be_visible()
    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_text("You, since")).to_be_visible()
    page.get_by_role("link", name="Hand over…").click()
    page.get_by_label("To", exact=True).select_option(label="Mika Lindqvist")
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_text("Mika Lindqvist was given this client")).to_be_visible()
    expect(row_of(agent)).to_have_class("row is-given")
