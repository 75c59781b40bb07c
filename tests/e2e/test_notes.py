"""Two people write about one client at once, and one of them closes with an outcome and takes the text along."""

from __future__ import annotations

from playwright.sync_api import expect


def test_two_people_write_about_one_client(open_page, vendor, reports):
    reports.expect(409)
    agent = open_page("agent", "/invitations/new/?client_name=Tilda+Brandt&ticket=HD-7")
    agent.get_by_role("button", name="Create invitation").click()
    expect(agent.locator("#code")).to_be_visible()
    lead = open_page("lead", agent.url)
    for page in (agent, lead):
        page.get_by_role("link", name="Note and ticket").click()
    lead.get_by_role("dialog").get_by_label("Note", exact=True).fill("The printer, again")
    lead.get_by_role("button", name="Save", exact=True).click()
    expect(lead.get_by_text("Saved for Tilda Brandt.")).to_be_visible()
    agent.get_by_role("dialog").get_by_label("Note", exact=True).fill("Drivers from 2019")
    agent.get_by_role("button", name="Save", exact=True).click()
    expect(agent.get_by_role("alert")).to_contain_text("Somebody has changed this note meanwhile")
    expect(agent.locator(".theirs")).to_have_text("The printer, again")
    expect(agent.get_by_label("Note", exact=True)).to_have_value("Drivers from 2019")
    agent.get_by_label("Note", exact=True).fill("The printer, again. Drivers from 2019")
    agent.get_by_role("button", name="Save", exact=True).click()
    expect(agent.locator(".noted")).to_have_text("The printer, again. Drivers from 2019")
    expect(lead.locator(".noted")).to_have_text("The printer, again. Drivers from 2019")  # by the next poll


def test_closing_asks_how_it_ended_and_the_text_is_ready_to_paste(open_page, vendor, reports):
    page = open_page("agent", "/invitations/new/?client_name=Tilda+Brandt&ticket=HD-7")
    page.get_by_role("button", name="Create invitation").click()
    page.get_by_role("link", name="Close invitation").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Client did not come").check()
    sheet.get_by_label("Note", exact=True).fill("Calls tomorrow")
    sheet.get_by_role("button", name="Close invitation").click()
    expect(page.locator("#t-note + p")).to_have_text("Client did not come")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Text for the ticket").click()
    page.get_by_role("button", name="Copy as Plain text").click()
    expect(page.locator("#said")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "Ticket: HD-7" in copied
    assert "Outcome: Client did not come" in copied
