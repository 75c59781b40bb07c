"""Operations nobody knew the outcome of are settled by what the list shows, or stay unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from invitations import actions
from invitations.models import Operation, Snapshot
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError
from tests.conftest import known

State = Operation.State


@pytest.fixture
def lost(lead, vendor, look):
    """Run an action whose answer is lost, with or without its effect; returns the operation."""

    def run(verb: str, fault: str) -> Operation:
        number = vendor.add("Old", status=1)
        look()
        vendor.fail({"rename": "update"}.get(verb, verb), fault)
        # What would have told at once is down as well.
        vendor.fail("info", "refused", times=None) if verb != "connect" else None
        vendor.fail("list", "refused", times=None)
        options = {"client_name": "New"} if verb == "rename" else {}
        with pytest.raises(GetscreenError):
            getattr(actions, verb)(invitation=known(number), by=lead, **options)
        vendor.clear()
        op = Operation.objects.get()
        assert op.state == State.UNKNOWN
        return op

    return run


def test_a_lost_connect_is_settled_by_the_next_that_works(lead, look, lost):
    op = lost("connect", "hang_after")
    actions.connect(invitation=op.invitation, by=lead)
    look()
    op.refresh_from_db()
    assert op.state == State.FAILED


def later(op: Operation) -> None:
    op.finished_at = timezone.now() - timedelta(seconds=40)
    op.save()


@pytest.mark.parametrize("verb", ["rename", "close"])
def test_what_has_happened_after_all_is_settled_by_the_list(vendor, look, lost, verb):
    op = lost(verb, "hang_after")
    before = Snapshot.load().revision
    look()
    op.refresh_from_db()
    assert op.state == State.OK
    assert Snapshot.load().revision > before
    event = Event.objects.get(reference=op.reference, phase="reconciled")
    assert (event.result, event.actor_name) == ("ok", op.by.display_name)
    assert event.facts == {
        "evidence": {"rename": "the list has the new name", "close": "the invitation is closed"}[verb]
    }


@pytest.mark.parametrize(("verb", "kind"), [("rename", "renamed"), ("close", "closed")])
def test_what_has_happened_after_all_is_its_persons_in_the_timeline(lead, look, lost, verb, kind):
    op = lost(verb, "hang_after")
    for _ in range(3):
        look()
    (entry,) = op.invitation.entries.filter(kind__in=["renamed", "closed", "closed_outside"])
    assert (entry.kind, entry.actor_name) == (kind, lead.display_name)


def test_what_somebody_closes_in_this_moment_is_closed_by_them_alone(lead, vendor, look):
    number = vendor.add("Old", status=1)
    look()
    vendor.after("close", look)
    actions.close(invitation=known(number), by=lead)
    look()
    kinds = [entry.kind for entry in known(number).entries.filter(kind__startswith="closed")]
    assert kinds == ["closed"]


def test_a_refuted_close_does_not_claim_a_later_one(lead, vendor, look, lost):
    op = lost("close", "hang")
    later(op)
    look()
    vendor.close(op.invitation.vendor_id)
    look()
    assert op.invitation.entries.filter(kind="closed_outside").count() == 1


@pytest.mark.parametrize("verb", ["rename", "close"])
def test_what_has_not_happened_counts_as_failed_once_it_no_longer_can(vendor, look, lost, verb):
    op = lost(verb, "hang")
    look()
    op.refresh_from_db()
    assert op.state == State.UNKNOWN, "it may still come"
    later(op)
    look()
    op.refresh_from_db()
    assert op.state == State.FAILED
    assert Event.objects.get(reference=op.reference, phase="reconciled").result == "failed"


def test_a_lost_connect_stays_unknown_until_its_invitation_is_closed(vendor, look, lost):
    op = lost("connect", "hang_after")
    later(op)
    look()
    op.refresh_from_db()
    assert op.state == State.UNKNOWN
    vendor.close(op.invitation.vendor_id)
    look()
    look()
    op.refresh_from_db()
    assert op.state == State.FAILED


def test_a_later_rename_says_nothing_about_a_lost_one(lead, vendor, look, lost):
    op = lost("rename", "hang_after")
    actions.rename(invitation=op.invitation, by=lead, client_name="Newest")
    later(op)
    look()
    op.refresh_from_db()
    assert op.state == State.UNKNOWN


def test_what_is_settled_is_settled_once(look, lost):
    op = lost("rename", "hang_after")
    for _ in range(3):
        look()
    assert Event.objects.filter(reference=op.reference, phase="reconciled").count() == 1


def test_becoming_unknown_moves_the_revision(vendor, look, lost):
    before = look().revision
    lost("close", "hang")
    assert Snapshot.load().revision > before + 1


def test_operations_of_another_account_are_left_alone(look, lost):
    op = lost("rename", "hang_after")
    Operation.objects.update(account="another")
    look()
    op.refresh_from_db()
    assert op.state == State.UNKNOWN


def test_unsettled_are_the_unknown_and_the_abandoned(agent):
    old = timezone.now() - timedelta(minutes=5)
    expected = set()
    for number, (state, started_at, is_unsettled) in enumerate(
        [
            (State.UNKNOWN, timezone.now(), True),
            (State.PENDING, old, True),
            (State.PENDING, timezone.now(), False),
            (State.OK, old, False),
            (State.FAILED, old, False),
        ]
    ):
        op = Operation.objects.create(
            reference=str(number), verb="create", by=agent, state=state, started_at=started_at
        )
        if is_unsettled:
            expected.add(op)
    assert set(Operation.objects.unsettled()) == expected
