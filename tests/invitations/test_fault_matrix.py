"""Every fault of the simulator on every action: no 500, no lost row, no false success, words one can act on.

The matrix is read from the simulator's own table; its ledger says what really happened.
"""

from __future__ import annotations

from html import unescape

import pytest

from invitations.models import Invitation, Operation, Snapshot, Status
from invitations.wordings import WORDINGS
from portal.audit.models import Event
from portal.getscreen.simulator.faults import TABLE, Fault
from tests.conftest import known

ACTIONS = ("list", "info", "create", "update", "connect", "close")
MATRIX = [
    pytest.param(action, fault, id=f"{action}-{name}")
    for action in ACTIONS
    for name, fault in TABLE.items()
    if action in fault.fits
]
TITLES = {kind: str(wording.title) for kind, wording in WORDINGS.items()}


def failure_shown(answer) -> str:
    page = unescape(answer.content.decode())
    found = [kind for kind, title in TITLES.items() if title in page]
    assert len(found) == 1, f"one message expected, found {found}"
    return found[0]


def possible_kinds(fault: Fault) -> set[str]:
    """Which messages are true for a fault; the status decides where there is one."""
    by_status = {
        "status_401": {"key"},
        "status_402": {"quota"},
        "status_403": {"unknown_invitation", "key"},
        "status_404": {"address"},
        "status_429": {"unreachable"},
        "status_429_retry_after": {"unreachable"},
    }
    if fault.name in by_status:
        return by_status[fault.name]
    if fault.name.startswith("status_4"):
        return {"unknown_invitation"}
    return {"unreachable", "maybe", "maybe_connect", "garbled"}


def every_operation_is_settled() -> None:
    """Each intent has its outcome, with the same reference."""
    intents = set(Event.objects.filter(phase="intent").values_list("reference", flat=True))
    outcomes = set(Event.objects.exclude(phase="intent").exclude(reference="").values_list("reference", flat=True))
    assert intents == outcomes
    assert not Operation.objects.filter(state=Operation.State.PENDING).exists()


@pytest.fixture
def waiting(vendor, look):
    """A client who has joined, known to the portal."""
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    return number


@pytest.mark.parametrize(("action", "fault"), MATRIX)
def test_every_fault_on_every_action(action, fault, lead, browser_of, vendor, look, waiting):
    CHECKS[action](fault, browser_of(lead), vendor, look, known(waiting))
    every_operation_is_settled()


def check_list(fault, browser, vendor, look, row):
    vendor.fail("list", fault.name, times=None)
    snapshot = look()
    page = browser.get("/")
    assert page.status_code == 200
    assert row.code_grouped in page.content.decode()
    assert Invitation.objects.get(pk=row.pk).status != Status.CLOSED
    good = "list" in fault.harmless
    assert (snapshot.trouble == "") == good
    vendor.clear()
    after = look()
    assert after.trouble == ""
    assert Invitation.objects.get(pk=row.pk).status == Status.JOINED


def check_info(fault, browser, vendor, look, row):
    """The look before connecting: only a sound answer lets a link be made."""
    vendor.fail("info", fault.name, times=None)
    answer = browser.post(f"/invitations/{row.public_id}/connect/")
    if answer.status_code == 303:
        assert "info" in fault.harmless
    else:
        assert answer.status_code in (404, 409, 502, 503)
        assert failure_shown(answer) in possible_kinds(fault) | {"status_unknown"}
        assert not vendor.ledger.links


def check_create(fault, browser, vendor, look, row):
    vendor.fail("create", fault.name, times=None)
    answer = browser.post("/invitations/new/", {"client_name": "Nora", "ticket": "HD-5", "token": "d" * 32})
    made = [one for one in vendor.rows().values() if one.client_name == "Nora"]
    if answer.status_code == 302:
        assert len(made) == 1
        assert Invitation.objects.get(client_name="Nora").ticket == "HD-5"
    else:
        assert answer.status_code in (404, 409, 502, 503)
        assert failure_shown(answer) in possible_kinds(fault)
        assert "Nora" in answer.content.decode()
    vendor.clear()
    look()
    assert len(made) <= 1
    assert Invitation.objects.filter(client_name="Nora").count() == len(made)
    if made:  # found and adopted, never left to somebody else
        assert Invitation.objects.get(client_name="Nora").created_by is not None


def check_update(fault, browser, vendor, look, row):
    vendor.fail("update", fault.name, times=None)
    answer = browser.post(f"/invitations/{row.public_id}/rename/", {"client_name": "Renamed"})
    really = vendor.rows()[row.vendor_id].client_name == "Renamed"
    if answer.status_code == 302:
        assert really
    else:
        assert failure_shown(answer) in possible_kinds(fault)
        assert "Renamed" in answer.content.decode()
    vendor.clear()
    look()
    assert known(row.vendor_id).client_name == ("Renamed" if really else "Tilda")


def check_connect(fault, browser, vendor, look, row):
    vendor.fail("connect", fault.name, times=None)
    answer = browser.post(f"/invitations/{row.public_id}/connect/")
    if answer.status_code == 303:
        assert "connect" in fault.harmless
        assert answer.headers["Location"] in {link.replace("&amp;", "&") for link in normal(vendor.ledger.links)}
        assert Event.objects.filter(kind="invitation.connect", phase="outcome", result="ok").count() == 1
    else:
        assert failure_shown(answer) in possible_kinds(fault)
        assert "Location" not in answer.headers
        assert failure_shown(answer) != "maybe", "a lost link is harmless, and trying again is the way"
        assert not Event.objects.filter(kind="invitation.connect", result="ok").exists()


def normal(links):
    return [link.replace("https://https://", "https://") for link in links]


def check_close(fault, browser, vendor, look, row):
    vendor.fail("close", fault.name, times=None)
    answer = browser.post(f"/invitations/{row.public_id}/close/")
    really = vendor.rows()[row.vendor_id].status == 3
    if answer.status_code == 302:
        assert really
        assert known(row.vendor_id).status == Status.CLOSED
    else:
        assert failure_shown(answer) in possible_kinds(fault)
        assert known(row.vendor_id).status == Status.JOINED
    vendor.clear()
    look()
    assert (known(row.vendor_id).status == Status.CLOSED) == really


CHECKS = {
    "list": check_list,
    "info": check_info,
    "create": check_create,
    "update": check_update,
    "connect": check_connect,
    "close": check_close,
}


def test_four_kinds_of_trouble_read_differently(agent, browser_of, vendor, look):
    look()
    browser, seen = browser_of(agent), {}
    for fault in ("status_500", "status_402", "status_401", "html", "status_404"):
        vendor.fail("list", fault, times=None)
        snapshot = look()
        seen[fault] = (snapshot.trouble, browser.get("/board/rows/").content)
        vendor.clear()
    assert len({trouble for trouble, _ in seen.values()}) == len(seen)
    assert len({page for _, page in seen.values()}) == len(seen)


def test_an_outage_keeps_the_last_rows_and_recovers_by_itself(agent, browser_of, vendor, look):
    vendor.add("Stays")
    good = look()
    vendor.fail("list", "refused", times=None)
    bad = look()
    assert bad.good_at == good.good_at
    assert bad.trouble == Snapshot.Trouble.UNREACHABLE
    assert bad.revision > good.revision
    assert "Stays" in browser_of(agent).get("/").content.decode()
    vendor.clear()
    assert look().trouble == ""
    assert Event.objects.filter(kind="vendor.recovered").count() == 1
