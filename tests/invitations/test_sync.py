"""What one look at the vendor does to our rows, and the races between looking and acting."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from invitations import actions, adoption, operations, sync
from invitations.models import Entry, Invitation, Operation, Snapshot, Status
from invitations.rhythm import seconds_left
from invitations.watcher import Watcher
from portal.audit.models import Event
from portal.getscreen import configured
from portal.getscreen.errors import GetscreenError
from tests.conftest import known


def kinds(invitation):
    return [entry.kind for entry in invitation.entries.all()]


def test_new_rows_are_external_and_keep_the_vendors_time(vendor, look):
    number = vendor.add("Made elsewhere", created_at=1_790_000_000)
    look()
    row = known(number)
    assert row.is_external
    assert int(row.created_at.timestamp()) == 1_790_000_000
    assert kinds(row) == [Entry.Kind.FOUND]


def test_joining_and_leaving_are_lines_with_their_precision(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.join(number, os="linux")
    look()
    assert known(number).joined_at is not None
    assert known(number).client_os == "linux"
    vendor.leave(number)
    look()
    row = known(number)
    assert kinds(row) == ["found", "joined", "left"]
    assert row.joined_at is None
    assert all(entry.precision >= 1 for entry in row.entries.all())


def test_renames_made_elsewhere_arrive(vendor, look):
    number = vendor.add("Old")
    first = look()
    vendor.rename(number, "New")
    assert look().revision > first.revision
    assert known(number).client_name == "New"


def test_a_look_without_news_leaves_the_revision(vendor, look):
    vendor.add("Tilda", status=1)
    assert look().revision == look().revision


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


def test_a_list_begun_before_a_create_does_not_close_it(agent, vendor, look):
    vendor.after("list", lambda: actions.create(by=agent, client_name="Lena"))
    look()
    row = Invitation.objects.get(client_name="Lena")
    assert row.is_open
    assert row.created_by == agent


def test_a_list_begun_before_a_close_does_not_reopen_it(lead, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    vendor.after("list", lambda: actions.close(invitation=known(number), by=lead))
    look()
    assert known(number).status == Status.CLOSED


def test_a_list_begun_before_a_rename_does_not_undo_it(lead, vendor, look):
    number = vendor.add("Old")
    look()
    vendor.after("list", lambda: actions.rename(invitation=known(number), by=lead, client_name="New"))
    look()
    assert known(number).client_name == "New"


def test_a_list_begun_before_a_look_at_one_does_not_undo_it(agent, vendor, look):
    number = vendor.add("Tilda")
    look()

    def join_and_try_to_connect():
        vendor.join(number)
        actions.connect(invitation=known(number), by=agent)

    vendor.after("list", join_and_try_to_connect)
    look()
    assert known(number).status == Status.JOINED
    assert "left" not in kinds(known(number))


def test_unknown_ids_wait_while_a_create_is_in_flight(agent, vendor, look):
    """The vendor has made it, its answer is on the way, and a list already shows it."""
    vendor.after("create", look)
    row = actions.create(by=agent, client_name="Lena")
    assert row.created_by == agent
    assert not row.is_external
    assert Invitation.objects.count() == 1


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


def test_another_key_never_closes_the_rows_of_the_first(agent, browser_of, vendor, look):
    number = vendor.add("Tilda")
    look()
    Invitation.objects.update(account="00000000", vendor_id=number + 5000)
    snapshot = look()
    old = Invitation.objects.get(account="00000000")
    assert old.is_open
    assert old.account != snapshot.account
    page = browser_of(agent).get("/").content.decode()
    assert "other account" in page
    answer = browser_of(agent).post(f"/invitations/{old.public_id}/connect/")
    assert answer.status_code == 409


def test_a_row_of_unknown_status_is_shown_and_not_connected(agent, browser_of, vendor, look):
    number = vendor.add("Meeting room", status=1)
    vendor.fail("list", "unknown_status", times=None)
    look()
    assert known(number).status == Status.UNKNOWN
    assert "Unknown" in browser_of(agent).get("/").content.decode()


def test_five_thousand_rows_are_taken_in_one_round(vendor, look, monkeypatch):
    monkeypatch.setattr(sync, "BREATH", 0)
    vendor.fail("list", "many_rows")
    look()
    assert Invitation.objects.count() >= 5000


def test_an_interrupted_operation_becomes_unknown(agent, vendor, look, monkeypatch):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    number = vendor.add("Tilda", status=1)
    look()
    op = operations.begin("connect", by=agent, account="x", invitation=known(number), token="")
    assert operations.abandon_interrupted() == 0
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    vendor.fail("list", "refused", times=None)
    Watcher().tick()
    op.refresh_from_db()
    assert op.state == Operation.State.UNKNOWN, "an outage is no reason to leave it open"
    events = Event.objects.filter(reference=op.reference).order_by("seq")
    assert [(event.phase, event.result) for event in events] == [("intent", ""), ("reconciled", "unknown")]


def test_an_interrupted_create_is_adopted_after_the_restart(agent, vendor, look):
    look()
    op = operations.begin(
        "create", by=agent, account=configured.client().fingerprint, invitation=None, token="", client_name="Lena"
    )
    vendor.add("Lena")
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=90))
    operations.abandon_interrupted()
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(seconds=2))
    look()
    assert Invitation.objects.get().created_by == agent


@pytest.mark.parametrize(
    ("fault", "options", "seconds"),
    [("status_402", {}, 60), ("status_429", {"retry_after": 20}, 20), ("status_500", {}, None)],
)
def test_the_watcher_waits_when_asked_to(vendor, look, fault, options, seconds):
    vendor.fail("list", fault, times=None, **options)
    snapshot = look()
    if seconds is None:
        assert snapshot.pause_until is None
        return
    assert round((snapshot.pause_until - snapshot.attempted_at).total_seconds()) == seconds
    assert seconds_left(snapshot, timezone.now()) > seconds - 5
    vendor.clear()
    assert look().pause_until is None


def test_one_watcher_holds_the_lease(vendor, db):
    first, second = sync.Lease(), sync.Lease()
    assert first.take()
    assert not second.take()
    assert first.take()
    first.release()
    assert second.take()


def test_a_dead_watchers_lease_runs_out(vendor, db):
    first, second = sync.Lease(), sync.Lease()
    assert first.take()
    Snapshot.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert second.take()
    vendor.add("Tilda")
    assert not sync.run_round(configured.client(), lease=first), "its answer comes too late"
    assert Invitation.objects.count() == 0
    vendor.fail("list", "status_500", times=3)
    sync.run_round(configured.client(), lease=first)
    assert Snapshot.load().trouble == Snapshot.Trouble.STARTING
    assert sync.run_round(configured.client(), lease=second)


def test_the_lease_is_kept_through_a_long_round(vendor, look):
    numbers = [vendor.add(f"Client {n}") for n in range(3)]
    look()
    for number in numbers:
        vendor.close(number)
    first, second = sync.Lease(), sync.Lease()
    assert first.take()

    def others_try():
        Snapshot.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
        assert not second.take()

    vendor.before("info", others_try)
    assert sync.run_round(configured.client(), lease=first)
    assert Snapshot.load().lease_until > timezone.now() + timedelta(seconds=3), "renewed on the way"
    assert Invitation.objects.filter(status=Status.CLOSED).count() == 3


def test_a_lease_lost_on_the_way_ends_the_round(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.close(number)
    first = sync.Lease()
    assert first.take()
    vendor.after("list", lambda: Snapshot.objects.update(lease_token="somebody else"))
    assert not sync.run_round(configured.client(), lease=first)
    assert known(number).is_open
    assert not vendor.ledger.find("/v1/support/info")


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


def test_a_tick_survives_whatever_a_round_does(vendor, db, monkeypatch, caplog):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    watcher = Watcher()
    watcher.tick()
    assert Snapshot.load().good_at is not None

    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(sync, "run_round", broken)
    Snapshot.objects.update(attempted_at=None)
    watcher.not_before = 0
    watcher.tick()
    assert "A round of the watcher failed" in caplog.text


def test_the_watcher_thread_ends_when_told(vendor, db, monkeypatch):
    watcher = Watcher()
    ticks = []
    monkeypatch.setattr(watcher, "tick", lambda: ticks.append(watcher.stopping.set()))
    monkeypatch.setattr(watcher.lease, "release", lambda: None)
    watcher.start()
    watcher.stop()
    assert ticks
    assert not watcher.thread.is_alive()


def test_a_missing_clock_counts_as_ours(vendor, look):
    from portal.getscreen.types import Listing

    assert adoption.clock_offset(Listing((), None, 0, None)) == timedelta()
