"""The whole way from sign-in to a closed invitation, with the security headers on, with and without JavaScript."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import sign_in
from tests.installation import wait_until


def the_row(simulator):
    (row,) = simulator.rows().values()
    return row


def landing(simulator):
    """The requests of the tab that Connect opened."""
    return [request for request in simulator.ledger.requests if request.path == "/" and "llt" in request.query]


def copied(portal):
    """What the log says was copied, in its order."""
    rows = portal.ask("SELECT record FROM audit_event WHERE kind = 'invitation.revealed' ORDER BY seq")
    return [json.loads(record)["facts"]["what"] for (record,) in rows]


def test_a_copy_works_where_the_portal_does_not_hear_of_it(open_page, reports, vendor, portal):
    reports.expect(503)
    vendor.add("Tilda")
    page = open_page("agent", permissions=["clipboard-read", "clipboard-write"])
    page.route("**/copied/", lambda route: route.fulfill(status=503))
    before = copied(portal)
    page.get_by_role("button", name="Copy code").first.click()
    expect(page.locator("#said")).to_have_text("Copied")
    page.unroute("**/copied/")
    page.get_by_role("button", name=re.compile("Copy link for")).first.click()
    wait_until(lambda: copied(portal) == [*before, "link"], seconds=5)


def test_from_sign_in_to_close(open_page, vendor, portal):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    expect(page).to_have_url(re.compile("/accounts/login/"))
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()

    page.get_by_role("link", name="New invitation").first.click()
    page.get_by_label("Client name").fill("Tilda Brandtner")
    page.get_by_label("Ticket").fill("HD-20418")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("heading", name="Your invitation is ready")).to_be_visible()
    code = the_row(vendor).code
    assert page.locator("#code").inner_text() == f"{code[:3]}\u00a0{code[3:6]}\u00a0{code[6:]}"
    before = copied(portal)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{vendor.public_url}/invite/{code}"
    page.get_by_role("button", name="Copy code").click()
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == code, seconds=5)
    page.get_by_role("button", name="Copy message").click()
    wait_until(lambda: copied(portal) == [*before, "link", "code", "message"], seconds=5)

    vendor.join(the_row(vendor).id, "win")
    connect = page.get_by_role("button", name=re.compile("Connect to Tilda"))
    expect(connect).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    with page.context.expect_page() as opened:
        connect.click()
    expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    assert [request.headers.get("referer") for request in landing(vendor)] == [None]
    assert vendor.ledger.count("link_used") == 1
    assert opened.value.evaluate("window.opener") is None
    opened.value.close()

    expect(page.get_by_text("In session").first).to_be_visible()
    page.get_by_role("link", name="Close invitation").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Keep it open")).to_be_focused()
    dialog.get_by_role("button", name="Close invitation").click()
    expect(page.get_by_text("The invitation for Tilda Brandtner is closed.")).to_be_visible()
    assert the_row(vendor).status == 3
    page.get_by_role("navigation", name="Main").get_by_role("link", name="History").click()
    expect(page.get_by_role("row", name=re.compile("Tilda Brandtner"))).to_be_visible()


def test_the_same_without_javascript(open_page, vendor, portal):
    page = open_page(java_script_enabled=False)
    sign_in(page, "agent")
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    page.get_by_role("link", name="New invitation").first.click()
    page.get_by_label("Client name").fill("Oke Parrish")
    page.get_by_role("button", name="Create invitation").click()
    code = the_row(vendor).code
    expect(page.locator("#code")).to_have_text(f"{code[:3]}\u00a0{code[3:6]}\u00a0{code[6:]}")
    expect(page.locator("#link")).to_have_text(f"{vendor.public_url}/invite/{code}")

    vendor.join(the_row(vendor).id, "mac")
    portal.known(the_row(vendor).id, status=1)
    page.reload()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to Oke")).click()
    expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    assert [request.headers.get("referer") for request in landing(vendor)] == [None]
    portal.known(the_row(vendor).id, status=2)

    page.goto("/")
    expect(page.get_by_role("listitem").filter(has_text="Oke Parrish")).to_contain_text("In session")
    page.get_by_role("link", name="Oke Parrish").click()
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Client name").fill("Oke Parrish, second floor")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_role("heading", name="Oke Parrish, second floor")).to_be_visible()
    page.get_by_role("link", name="Close invitation").click()
    page.get_by_role("button", name="Close invitation").click()
    expect(page.get_by_text("is closed.")).to_be_visible()
    page.goto("/history/")
    page.get_by_role("searchbox").fill("second floor")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row", name=re.compile("second floor"))).to_be_visible()


def test_the_client_joins_on_the_page_of_the_link(open_page, vendor, portal):
    """Both people in the same browser: the link the agent sends is the one the client opens."""
    page = open_page("agent", "/invitations/new/")
    page.get_by_role("button", name="Create invitation").click()
    link = page.locator("#link").inner_text()
    client = page.context.browser.new_page()
    client.goto(link)
    client.get_by_role("button", name="Join").click()
    expect(client.get_by_role("heading", name="You have joined (simulated)")).to_be_visible()
    client.close()
    expect(page.get_by_text("Client joined").first).to_be_visible()


def test_connect_from_the_board(open_page, vendor, portal):
    number = vendor.add("Front desk", status=1, client_os="android")
    portal.known(number, status=1)
    page = open_page("agent")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Connect to Front desk").click()
    expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
    row = page.get_by_role("listitem").filter(has_text="Front desk")
    expect(row).to_contain_text("In session")
    expect(row.locator(".taken")).to_contain_text("You")


def test_a_double_click_on_connect_mints_one_link(open_page, vendor, portal):
    number = vendor.add("Front desk", status=1)
    portal.known(number, status=1)
    page = open_page("agent")
    with page.context.expect_page():
        page.get_by_role("button", name="Connect to Front desk").dblclick()
    page.wait_for_timeout(500)
    assert vendor.ledger.count("link_minted") == 1
    assert len(page.context.pages) == 2


def test_a_later_press_of_connect_mints_a_fresh_link(open_page, vendor, portal):
    number = vendor.add("Front desk", status=1)
    portal.known(number, status=1)
    page = open_page("agent")
    connect = page.get_by_role("button", name="Connect to Front desk")
    for pause in (2_100, 0):
        with page.context.expect_page() as opened:
            connect.click()
        expect(opened.value.get_by_role("heading", name="You are connected (simulated)")).to_be_visible()
        page.wait_for_timeout(pause)
    assert vendor.ledger.count("link_minted") == 2
    assert vendor.ledger.count("link_reused") == 0


@pytest.mark.parametrize("with_scripts", [True, False])
def test_a_double_click_on_create_makes_one_invitation(open_page, vendor, with_scripts):
    page = open_page(java_script_enabled=with_scripts)
    sign_in(page, "agent")
    page.goto("/invitations/new/")
    vendor.fail("create", "slow", seconds=0.5)
    page.get_by_role("button", name="Create invitation").dblclick()
    expect(page.locator("#code")).to_be_visible()
    assert vendor.ledger.count("created") == 1
