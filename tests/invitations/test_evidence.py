"""What people see and share of an invitation, and what the vendor does with it, as the log tells it."""

from __future__ import annotations

import pytest

from invitations import actions
from invitations.models import Invitation
from portal.audit.models import Event
from portal.getscreen.errors import Malformed, Unavailable
from tests.conftest import known


@pytest.fixture
def row(vendor, look) -> Invitation:
    number = vendor.add("Tilda", status=1)
    look()
    return known(number)


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("seq"))


@pytest.mark.parametrize("what", ["code", "link", "message"])
def test_what_was_copied_is_an_event_without_the_code(agent, browser_of, row, what):
    answer = browser_of(agent).post(f"/invitations/{row.public_id}/copied/", {"what": what})
    assert (answer.status_code, answer.content) == (204, b"")
    (event,) = events("invitation.revealed")
    assert (event.facts, event.target_id, event.actor_id) == ({"what": what}, row.public_id, agent.pk)
    assert row.code not in event.record + str(event.details)


@pytest.mark.parametrize("what", ["", "qr", "everything", "code ", "Code"])
def test_nothing_else_can_be_written_into_the_log_that_way(agent, browser_of, row, what):
    assert browser_of(agent).post(f"/invitations/{row.public_id}/copied/", {"what": what}).status_code == 400
    assert not events("invitation.revealed")


def test_a_page_and_its_polls_are_no_events_and_its_qr_code_is_one(agent, browser_of, row):
    browser, here = browser_of(agent), f"/invitations/{row.public_id}/"
    page = browser.get(here).content.decode()
    browser.get(f"{here}live/")
    browser.get("/")
    assert not Event.objects.filter(actor=f"user:{agent.pk}").exists()
    assert f'src="{here}qr/"' in page
    browser.get(f"{here}qr/")
    assert [event.target_id for event in events("invitation.qr")] == [row.public_id]


def test_a_row_says_where_its_copies_are_told(agent, browser_of, row):
    page = browser_of(agent).get("/").content.decode()
    assert f'data-copied="/invitations/{row.public_id}/copied/"' in page
    assert page.count("data-copy=") == page.count("data-what=") > 0


def test_an_unknown_status_is_an_event_once(row, vendor, look):
    vendor.fail("list", "unknown_status", times=None)
    for _ in range(2):
        look()
    (event,) = events("vendor.status")
    assert event.details["status"] == known(row.vendor_id).raw_status


def test_a_link_that_leads_elsewhere_is_an_event_of_its_own(agent, row, vendor):
    vendor.fail("connect", "foreign_host", times=1)
    with pytest.raises(Malformed):
        actions.connect(invitation=row, by=agent)
    (event,) = events("vendor.link_refused")
    assert event.content["up"]["reason"] == "a link we do not trust"
    assert event.reference == events("invitation.connect")[0].reference
    assert [event.result for event in events("invitation.connect")] == ["", "unknown"]


def test_a_look_that_fails_is_an_event_with_the_reason(agent, row, vendor):
    vendor.fail("info", "refused", times=None)
    with pytest.raises(Unavailable):
        actions.look(invitation=row, by=agent)
    (event,) = events("invitation.preview")
    assert (event.result, event.content["up"]["class"]) == ("failed", "Unavailable")


def test_the_reference_on_the_page_finds_the_operation_in_the_log(agent, browser_of, vendor):
    vendor.fail("create", "status_400", times=None)
    browser = browser_of(agent)
    page = browser.post("/invitations/new/", {"client_name": "Bo"}).content.decode()
    reference = Event.objects.get(kind="invitation.create", phase="intent").reference
    assert f'<a href="/audit/?reference={reference}">{reference}</a>' in page
    found = browser.get(f"/audit/?reference={reference}").content.decode()
    assert found.count("tried to create an invitation for Bo") == 2
