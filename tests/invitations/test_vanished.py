"""What left the list counts as closed once that is beyond doubt."""

from __future__ import annotations

import pytest
from django.db.models import F

from invitations import sync
from invitations.models import Entry, Invitation, Status
from tests.conftest import known
from tests.invitations.watching import kinds, lists


def test_what_vanishes_is_confirmed_before_it_counts_as_closed(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.close(number)
    look()
    row = known(number)
    assert row.status == Status.CLOSED
    assert kinds(row)[-1] == Entry.Kind.CLOSED_OUTSIDE


def test_a_list_that_lies_closes_nothing(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.fail("list", "null_data")
    look()
    assert known(number).is_open
    vendor.close(number)
    vendor.fail("info", "status_500", times=None)
    look()
    assert known(number).is_open, "gone from a good list, but nobody has confirmed it"


def test_few_vanished_are_confirmed_per_round(vendor, look):
    numbers = [vendor.add(f"Client {n}") for n in range(8)]
    look()
    for number in numbers:
        vendor.close(number)
    look()
    assert Invitation.objects.filter(status=Status.CLOSED).count() == sync.CONFIRM_PER_ROUND
    look()
    assert Invitation.objects.filter(status=Status.CLOSED).count() == 8


def test_rows_that_cannot_be_confirmed_never_block_the_others(vendor, look):
    stuck = [vendor.add(f"Stuck {n}") for n in range(sync.CONFIRM_PER_ROUND)]
    look()
    fine = [vendor.add(f"Fine {n}") for n in range(3)]
    look()
    for number in (*stuck, *fine):
        vendor.close(number)
    # The vendor's records of some are broken for good.
    Invitation.objects.filter(vendor_id__in=stuck).update(vendor_id=F("vendor_id") + 100_000)
    vendor.unknown_id_status = 404
    for _ in range(40):
        look()
    assert Invitation.objects.filter(status=Status.CLOSED).count() == len(fine)


@pytest.mark.parametrize(("status", "closes"), [(400, True), (410, True), (405, False), (409, False), (404, False)])
def test_only_an_unknown_id_counts_as_closed(vendor, look, status, closes):
    number = vendor.add("Tilda")
    look()
    vendor.remove(number)
    vendor.fail("info", f"status_{status}", times=None)
    look()
    assert known(number).is_open != closes


def test_a_list_with_unreadable_rows_confirms_nothing_from_refusals(vendor, look):
    number = vendor.add("Tilda")
    vendor.add("Stays")
    look()
    vendor.remove(number)
    vendor.fail("list", "odd_ids", times=None)
    snapshot = look()
    assert snapshot.dropped
    assert known(number).is_open


def test_a_confirmation_answered_403_asks_for_no_further_list(vendor, look):
    number = vendor.add("Payroll")
    look()
    vendor.remove(number)
    vendor.fail("info", "status_403", times=None)
    before = lists(vendor)
    look()
    assert lists(vendor) == before + 1
    assert not Invitation.objects.get().is_open
