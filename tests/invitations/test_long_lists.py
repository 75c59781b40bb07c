"""Long lists are written in parts."""

from __future__ import annotations

from invitations import sync
from invitations.models import Invitation, Snapshot
from portal.getscreen import configured


def test_a_long_first_list_is_written_in_parts(vendor, look, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    seen: list[int] = []
    upsert = sync.upsert

    def counting(turn, news, precision, offset):
        seen.append(len(news))
        return upsert(turn, news, precision, offset)

    monkeypatch.setattr(sync, "upsert", counting)
    for number in range(25):
        vendor.add(f"Client {number}")
    revision = look().revision
    assert seen == [10, 10, 5]
    assert Invitation.objects.count() == 25
    assert look().revision == revision
    assert seen[3:] == [0], "an unchanged list writes no row"


def test_a_lease_lost_between_two_parts_ends_the_round(vendor, watcher, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    upsert = sync.upsert

    def lose(turn, news, precision, offset):
        changed = upsert(turn, news, precision, offset)
        Snapshot.objects.update(lease_token="somebody else")
        return changed

    monkeypatch.setattr(sync, "upsert", lose)
    for number in range(25):
        vendor.add(f"Client {number}")
    assert watcher.lease.take()
    assert not sync.run_round(configured.client(), lease=watcher.lease)
    assert Invitation.objects.count() == 10
    assert Snapshot.load().good_at is None


def test_rows_written_before_a_round_broke_off_are_shown(vendor, watcher, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    monkeypatch.setattr(sync, "BREATH", 0)
    for number in range(25):
        vendor.add(f"Client {number}")
    before = Snapshot.load().revision
    monkeypatch.setattr(sync, "succeed", lambda *args: 1 / 0)
    watcher.tick()
    assert Invitation.objects.count() == 20
    assert Snapshot.load().revision > before


def test_five_thousand_rows_are_taken_in_one_round(vendor, look, monkeypatch):
    monkeypatch.setattr(sync, "BREATH", 0)
    vendor.fail("list", "many_rows")
    look()
    assert Invitation.objects.count() >= 5000
