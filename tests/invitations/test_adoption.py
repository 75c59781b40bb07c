"""Whose an invitation is that was made while nobody got the answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from invitations import actions, adoption, operations, unsettled
from invitations.models import Invitation, Operation, sight_of
from portal.audit.models import Event
from portal.getscreen import configured
from portal.getscreen.errors import GetscreenError
from portal.getscreen.types import Listing
from tests.conftest import known


def test_unknown_ids_wait_while_a_create_is_in_flight(agent, vendor, look):
    """The vendor has made it, its answer is on the way, and a list already shows it."""
    vendor.after("create", look)
    row = actions.create(by=agent, client_name="Lena")
    assert row.created_by == agent
    assert not row.is_external
    assert Invitation.objects.count() == 1


def test_a_create_in_flight_hides_nobody_elses_client(agent, vendor, look):
    look()
    vendor.add("External Bob", status=1)
    vendor.after("create", look)
    actions.create(by=agent, client_name="Other name")
    bob = Invitation.objects.get(client_name="External Bob")
    assert bob.is_external
    found = bob.entries.first()
    assert found.at < Operation.objects.get().finished_at, "seen while the create was under way"
    assert found.precision <= settings.POLL_SECONDS


def test_what_was_held_back_says_for_how_long(agent, vendor, look):
    """Somebody else's namesake waits for the answer of the create, and is not called seen at once afterwards."""
    look()
    op = begun(agent)
    vendor.add("Lena", status=1)
    look()
    assert not Invitation.objects.exists()
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=40))
    operations.finish(op, Operation.State.FAILED)
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=40))
    look()
    assert Invitation.objects.get().is_external
    assert all(40 <= entry.precision <= 45 for entry in Invitation.objects.get().entries.all())


def test_a_create_from_the_future_holds_nothing_back_and_is_seen(agent, vendor, look):
    """The clock was set back by an hour while its process died."""
    look()
    op = begun(agent)
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() + timedelta(hours=1))
    vendor.add("Lena")
    look()
    assert Invitation.objects.get().is_external
    assert [line.reference for line in unsettled.on_board(sight_of(agent)).lines] == [op.reference]
    assert operations.abandon_interrupted() == 1


def test_an_attempt_from_the_future_stops_nobody_from_trying_again(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    row = known(number)
    op = operations.begin("connect", by=agent, account=row.account, invitation=row, token="")
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() + timedelta(hours=1))
    assert actions.connect(invitation=row, by=agent)


def begun(person):
    account = configured.client().fingerprint
    return operations.begin("create", by=person, account=account, invitation=None, token="", client_name="Lena")


def test_a_lost_create_is_adopted_at_once(agent, vendor, look):
    look()
    vendor.fail("create", "hang_after")
    row = actions.create(by=agent, client_name="Lena", ticket="HD-1", token="e" * 32)
    assert (row.created_by, row.ticket, row.is_external) == (agent, "HD-1", False)
    assert vendor.ledger.count("created") == 1
    assert Event.objects.filter(kind="invitation.create", phase="reconciled", result="ok").count() == 1


def test_a_lost_create_is_adopted_later_by_the_watcher(agent, vendor, look):
    look()
    vendor.fail("create", "hang_after")
    vendor.fail("list", "refused", times=None)
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Lena", token="e" * 32)
    assert Operation.objects.get().state == Operation.State.UNKNOWN
    vendor.clear()
    look()
    row = Invitation.objects.get()
    assert (row.created_by, row.is_external) == (agent, False)
    assert Operation.objects.get().state == Operation.State.OK
    again = actions.create(by=agent, client_name="Lena", token="e" * 32)
    assert again == row
    assert vendor.ledger.count("created") == 1


def test_two_candidates_are_left_to_a_person(agent, vendor, look):
    look()
    vendor.fail("create", "hang_after")
    vendor.after("create", lambda: vendor.add("Lena"))
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Lena")
    look()
    assert Operation.objects.get().state == Operation.State.UNKNOWN
    assert Invitation.objects.filter(client_name="Lena", is_external=True).count() == 2


def test_two_lost_creates_of_one_name_claim_nothing(agent, colleague, vendor, look):
    look()
    vendor.fail("list", "refused", times=None)
    vendor.fail("create", "hang_after", times=1)
    vendor.fail("create", "hang", times=1)
    for person in (agent, colleague):
        with pytest.raises(GetscreenError):
            actions.create(by=person, client_name="Lena")
    vendor.clear()
    look()
    assert Invitation.objects.get().created_by is None


def test_an_older_namesake_is_never_adopted(agent, vendor, look):
    vendor.add("Lena", created_at=int(timezone.now().timestamp()) - 3600)
    vendor.fail("create", "hang")
    with pytest.raises(GetscreenError):
        actions.create(by=agent, client_name="Lena")
    look()
    assert Invitation.objects.get().is_external


def test_a_vendor_clock_a_day_ahead_does_no_harm(agent, vendor, look):
    vendor.fail("create", "hang_after")
    vendor.fail("list", "skewed_date", times=None)
    look()
    with suppress(GetscreenError):
        actions.create(by=agent, client_name="Lena")
    assert Invitation.objects.filter(created_by=None).count() == 0


def test_an_interrupted_create_is_adopted_after_the_restart(agent, vendor, look):
    look()
    op = begun(agent)
    vendor.add("Lena")
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=90))
    operations.abandon_interrupted()
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=2))
    look()
    assert Invitation.objects.get().created_by == agent


def test_a_missing_clock_counts_as_ours(vendor, look):
    assert adoption.clock_offset(Listing((), None, 0, None)) == timedelta()


def test_what_a_colleague_has_written_down_meanwhile_stays(agent, colleague, vendor, look):
    """Two lost creates could both have made it, so it was taken for an external one until there was only one."""
    look()
    account = configured.client().fingerprint
    typed = {"client_name": "Lena", "note": "From the form", "ticket": "HD-1"}
    ops = [
        operations.begin("create", by=person, account=account, invitation=None, token="", **typed)
        for person in (agent, colleague)
    ]
    for op in ops:
        operations.finish(op, Operation.State.UNKNOWN)
    vendor.add("Lena")
    look()
    row = Invitation.objects.get()
    assert row.is_external
    actions.annotate(invitation=row, by=colleague, note="Call back at ten", ticket="HD-2", seen=0)
    Operation.objects.filter(pk=ops[1].pk).update(state=Operation.State.FAILED)
    look()
    row.refresh_from_db()
    assert row.created_by == agent
    assert (row.note, row.ticket) == ("Call back at ten", "HD-2")
