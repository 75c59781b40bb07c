"""Every form of every role, sent by a real browser with the real headers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import sign_in


@pytest.fixture
def own_row(open_page, vendor):
    """An invitation the agent made, and its page."""
    page = open_page("agent", "/invitations/new/")
    page.get_by_label("Client name").fill("Marek Dolin")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.locator("#code")).to_be_visible()
    return page


def test_a_form_with_an_error_keeps_what_was_typed(open_page, reports):
    reports.expect(422)
    page = open_page("agent", "/invitations/new/")
    page.get_by_label("Ticket").fill("HD-7")
    page.get_by_label("Client name").evaluate("(field) => field.removeAttribute('maxlength')")
    page.get_by_label("Client name").fill("x" * 101)
    page.get_by_role("button", name="Create invitation").click()
    expect(page.locator(".field-error")).to_be_visible()
    expect(page.get_by_label("Ticket")).to_have_value("HD-7")
    page.get_by_label("Client name").fill("Short")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("heading", name="Short")).to_be_visible()


def test_a_failed_create_keeps_what_was_typed(open_page, vendor, reports):
    reports.expect(503)
    page = open_page("agent", "/invitations/new/")
    page.get_by_label("Client name").fill("Marek Dolin")
    vendor.fail("create", "status_429")
    page.get_by_role("button", name="Create invitation").click()
    expect(page.get_by_role("alert")).to_contain_text("Getscreen does not answer")
    expect(page.get_by_label("Client name")).to_have_value("Marek Dolin")


def test_rename_in_place(own_row, vendor):
    own_row.get_by_role("link", name="Rename").click()
    field = own_row.get_by_role("dialog").get_by_label("Client name")
    expect(field).to_have_value("Marek Dolin")
    field.fill("Marek, printer")
    own_row.get_by_role("button", name="Save name").click()
    expect(own_row.get_by_role("heading", name="Marek, printer")).to_be_visible()
    (row,) = vendor.rows().values()
    assert row.client_name == "Marek, printer"


def test_cancel_changes_nothing(own_row, vendor):
    own_row.get_by_role("link", name="Close invitation").click()
    own_row.get_by_role("dialog").get_by_role("link", name="Keep it open").click()
    expect(own_row.get_by_role("dialog")).to_have_count(0)
    assert vendor.ledger.count("closed") == 0


def test_a_lead_closes_somebody_elses(open_page, vendor, portal):
    number = vendor.add("Old library terminal")
    portal.known(number)
    page = open_page("lead")
    page.get_by_role("button", name="More actions for Old library").click()
    page.get_by_role("link", name="Close invitation…").click()
    page.get_by_role("dialog").get_by_role("button", name="Close invitation").click()
    expect(page.get_by_text("The invitation for Old library terminal is closed.")).to_be_visible()
    assert vendor.row(number).status == 3


def test_an_agent_is_offered_nothing_on_somebody_elses(open_page, vendor, portal):
    portal.known(vendor.add("Old library terminal"))
    page = open_page("agent")
    page.get_by_role("button", name="More actions for Old library").click()
    expect(page.locator(":popover-open")).to_be_visible()
    expect(page.get_by_role("link", name="Close invitation…")).to_have_count(0)


def test_an_auditor_looks_and_touches_nothing(open_page, vendor, portal):
    number = vendor.add("Front desk", status=1)
    portal.known(number, status=1)
    page = open_page("auditor")
    row = page.get_by_role("listitem").filter(has_text="Front desk")
    expect(row).to_contain_text("Client joined")
    expect(page.get_by_role("button", name=re.compile("Connect"))).to_have_count(0)
    expect(page.get_by_role("link", name="New invitation")).to_have_count(0)
    assert vendor.row(number).code[:3] not in row.inner_text()


def test_the_audit_log_is_filtered(open_page, own_row):
    page = open_page("auditor", "/audit/")
    page.get_by_label("Who").select_option(label="Mika Lindqvist")
    page.get_by_label("Action").select_option(label="Invitation created")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("row", name=re.compile("Marek Dolin")).first).to_be_visible()
    expect(page.get_by_text("2 filters")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Event ")).first.click()
    expect(page.get_by_role("heading", name=re.compile("^Mika Lindqvist .*Marek Dolin"))).to_be_visible()
    expect(page.get_by_role("heading", name="The whole operation")).to_be_visible()


def test_search_on_the_board(open_page, vendor, portal):
    portal.known(vendor.add("Payroll laptop"))
    portal.known(vendor.add("Reception"))
    page = open_page("agent")
    page.get_by_role("searchbox").fill("payroll")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Payroll laptop", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Reception", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Mine").click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("payroll")


def test_somebody_without_a_role_can_only_sign_out(open_page, portal, reports):
    reports.expect(403)
    page = open_page()
    sign_in(page, "newcomer")
    expect(page.get_by_role("heading", name="You have no role yet")).to_be_visible()
    page.locator("main").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_administrator_changes_a_person_and_the_policy(open_page, portal):
    page = open_page("admin", "/admin/")
    page.get_by_role("link", name="People", exact=True).last.click()
    page.get_by_role("link", name="colleague").click()
    page.get_by_label("First name").fill("Josse")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    portal.ask("UPDATE accounts_user SET first_name = 'Joss' WHERE first_name = 'Josse'")  # as other tests know them
    page.goto("/admin/accounts/user/add/")
    expect(page.get_by_label("Username")).to_be_visible()
    page.goto("/admin/invitations/policy/")
    page.locator("[name=previews]").select_option("shown")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert portal.ask("SELECT previews FROM invitations_policy") == [("shown",)]


@pytest.mark.parametrize("path", ["auth/group", "audit/event", "invitations/invitation", "accounts/user"])
def test_the_administrations_lists(open_page, vendor, portal, path):
    portal.known(vendor.add("Payroll laptop"))
    page = open_page("admin", f"/admin/{path}/")
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("#content h1, #content h2").first).to_be_visible()


def test_an_agent_is_refused_the_administration(open_page, reports):
    reports.expect(403)
    page = open_page("agent", "/admin/")
    expect(page.get_by_role("heading", name="You cannot do this here")).to_be_visible()
