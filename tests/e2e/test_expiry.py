"""Time runs out: counted down, put off, and closed by the watcher while a client on a phone keeps theirs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import check
from tests.installation import wait_until

OLD = re.compile("Close old invitations")


def invite(page: Page, name: str, vendor):
    """Create an invitation through the form; returns the vendor's row of it."""
    page.goto("/invitations/new/")
    page.get_by_label("Client name").fill(name)
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("heading", name="Your invitation is ready")).to_be_visible()
    return next(row for row in vendor.rows().values() if row.client_name == name)


def let_pass(portal, vendor, hours: float, *names: str) -> None:
    """Let these have been made so much earlier, here and at the vendor."""
    for row in vendor._rows.values():
        row.created_at -= 3600 * hours if row.client_name in names else 0
    for name in names:
        ((number, made, ends),) = portal.ask(
            "SELECT id, created_at, expires_at FROM invitations_invitation WHERE client_name = ?", name
        )
        made, ends = (earlier(text, hours) if text else None for text in (made, ends))
        portal.ask("UPDATE invitations_invitation SET created_at = ?, expires_at = ? WHERE id = ?", made, ends, number)
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")


def earlier(text: str, hours: float) -> str:
    return str(datetime.fromisoformat(text).replace(tzinfo=None) - timedelta(hours=hours))


def test_one_expires_and_the_other_s_client_is_already_there(open_page, vendor, portal):
    portal.set_policy(expires_after_hours="24")
    page, board = open_page("agent"), open_page("lead", "/", width=390, height=844)
    ada, bo = invite(page, "Ada", vendor), invite(page, "Bo", vendor)
    expect(page.get_by_text(re.compile("in 23 h 59 min|in 24 h"))).to_be_visible()
    expect(page.get_by_text("Valid until tomorrow").first).to_be_visible()

    let_pass(portal, vendor, 23.5, "Ada", "Bo")
    expect(board.get_by_text(re.compile("Expires in 29 min"))).to_have_count(2)
    page.get_by_role("button", name="1 h", exact=True).dblclick()  # counts once
    expect(page.get_by_text(re.compile("The invitation is valid until"))).to_be_visible()
    expect(page.get_by_text(re.compile("in 1 h 29 min"))).to_be_visible()
    expect(board.get_by_text(re.compile("Expires in 1 h 29 min"))).to_be_visible()
    check(page)

    client = page.context.browser.new_page(viewport={"width": 390, "height": 844})
    client.goto(f"{vendor.public_url}/invite/{bo.code}")
    client.get_by_role("button", name="Join").click()
    let_pass(portal, vendor, 2, "Ada", "Bo")
    portal.known(ada.id, status=3)
    expect(board.get_by_role("listitem").filter(has_text="Ada")).to_contain_text("Closed")
    expect(board.get_by_role("listitem").filter(has_text="Bo")).to_contain_text("Client joined")
    assert [row.status for row in (vendor.row(ada.id), vendor.row(bo.id))] == [3, 1]
    client.reload()
    expect(client.get_by_role("heading", name="You have joined (simulated)")).to_be_visible()
    client.close()


@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no-scripts"])
def test_old_ones_are_closed_together_and_whoever_has_joined_stays(open_page, vendor, portal, with_scripts):
    portal.set_policy(expires_after_hours="0")
    numbers = {name: vendor.add(name) for name in ("Ada", "Cleo", "Elsewhere")}
    for name, number in numbers.items():
        portal.known(number, status=0)
        portal.ask("UPDATE invitations_invitation SET is_external = ? WHERE vendor_id = ?", name == "Elsewhere", number)
    let_pass(portal, vendor, 48, *numbers)
    page = open_page("lead", "/", width=390, height=844, java_script_enabled=with_scripts)
    page.get_by_role("link", name=OLD).click()
    ticked = {name: page.get_by_role("checkbox", name=name).is_checked() for name in numbers}
    assert ticked == {"Ada": True, "Cleo": True, "Elsewhere": False}
    if with_scripts:
        check(page)
    vendor.join(numbers["Cleo"])
    page.get_by_role("button", name="Close the chosen ones").click()
    expect(page.get_by_text("1 was closed.")).to_be_visible()
    expect(page.get_by_text("1 is in use by now and stays open.")).to_be_visible()
    assert [vendor.row(number).status for number in numbers.values()] == [3, 1, 0]


def test_a_long_session_is_asked_about_and_goes_on(open_page, vendor, portal):
    number = vendor.add("Tilda", status=2)
    portal.known(number, status=2)
    portal.ask(
        "UPDATE invitations_invitation SET active_at = ?, taken_by_name = 'Mika Lind',"
        " taken_by_id = (SELECT id FROM accounts_user WHERE username = 'agent') WHERE vendor_id = ?",
        datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=7),
        number,
    )
    portal.ask("UPDATE invitations_snapshot SET revision = revision + 1")
    other, page = open_page("lead"), open_page("agent")
    expect(other.get_by_text("Long session")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Still so").click()
    expect(page.get_by_text("Noted: the session with Tilda goes on.")).to_be_visible()
    expect(other.get_by_text("Long session")).to_have_count(0)
    wait_until(lambda: not page.get_by_text("still so?").count(), seconds=5)
    assert vendor.row(number).status == 2
