"""Old events and personal details can be removed, the rest stays provable, and the log says who did it and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from portal import audit
from portal.audit import anchors, checkpoints, keys, purging, rotation, sentences
from portal.audit.models import Detail, Erasure, Event, Watermark
from portal.audit.verification import Verification

TOMORROW = f"{timezone.localdate() + timedelta(days=1):%Y-%m-%d}"


@pytest.fixture(autouse=True)
def key(settings, tmp_path):
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"


def write(count, **facts):
    for number in range(count):
        audit.record("signout", result="ok", target_label=f"Client {number}", **facts)


def test_whole_blocks_are_removed_and_the_newest_event_stays(db):
    write(600)
    future = int((timezone.now() + timedelta(days=1)).timestamp() * 1e6)
    assert purging.last_before(future) == 512
    middle = Event.objects.get(pk=300).ts
    assert purging.last_before(middle) == 256
    assert purging.last_before(Event.objects.get(pk=100).ts) == 0
    assert purging.last_before(0) == 0


def test_the_newest_event_stays_even_where_it_ends_a_block(db):
    write(512)
    assert purging.last_before(int(timezone.now().timestamp() * 1e6) + 10**9) == 256


def test_a_purge_leaves_a_watermark_an_event_and_a_chain_that_goes_on(db):
    write(600)
    head = Event.objects.get(pk=512).hash
    assert purging.purge(512, reason="Retention") == 512
    mark = Watermark.objects.get()
    assert (mark.upto, mark.head) == (512, head)
    event = Event.objects.get(kind="audit.purged")
    assert event.facts["upto"] == 512
    assert event.facts["count"] == 512
    assert event.details["reason"] == "Retention"
    assert not Detail.objects.filter(seq__lte=512).exists()
    assert Event.objects.order_by("seq").first().prev == head
    assert audit.record("signout", result="ok").seq == event.seq + 1


def test_keys_stay_known_after_the_events_about_them_are_removed(db, settings, tmp_path):
    settings.AUDIT_CHECKPOINT_DIR = tmp_path
    for _ in range(3):  # every purge removes what the one before it has said of keys
        for _ in range(2):
            write(150)
            rotation.rotate()
        purging.purge(Event.objects.first().seq // 256 * 256, reason="Retention")
    report = Verification(anchors.read([tmp_path]), [keys.current().public]).run()
    assert report.state == "intact", report.sentences


class Crash(Exception):
    pass


def test_a_key_is_never_missing_while_it_is_changed(db, settings, monkeypatch):
    """A missing one would be made anew by whoever signs next, and nobody would have vouched for that."""

    def crash(*_):
        raise Crash

    old = keys.current().public
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", crash)  # the last step
        with pytest.raises(Crash):
            rotation.rotate()
    assert keys.current().public == old
    _, new = rotation.rotate()
    assert keys.current().public == new
    assert keys.SigningKey.read(settings.AUDIT_KEY_FILE.with_name(f"audit.pem.{old.id}")).public == old


@pytest.mark.parametrize("upto", [0, 100, 255, 256])
def test_what_is_no_new_block_is_not_purged(db, upto):
    write(600)
    purging.purge(256, reason="x")
    with pytest.raises(purging.NothingToRemove):
        purging.purge(upto, reason="x")


def test_events_behind_the_watermark_stay_protected(db):
    write(600)
    purging.purge(256, reason="x")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_event WHERE seq = 300")


def test_an_interrupted_purge_is_finished_by_the_next(db, capsys, monkeypatch):
    write(600)

    def die():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(purging, "finish_purge", die)
        with pytest.raises(KeyboardInterrupt):
            purging.purge(512, reason="x")
    assert Event.objects.count() > 600
    call_command("audit_purge", "--before=2000-01-01", "--reason=x")
    assert "last 512 events are removed" in capsys.readouterr().out
    assert Event.objects.order_by("seq").first().seq == 513


def test_the_command_asks_before_it_removes(db, capsys):
    write(300)
    call_command("audit_purge", f"--before={TOMORROW}", "--reason=Retention")
    assert "Events 1 to 256 would be removed" in capsys.readouterr().out
    assert Event.objects.count() == 300
    call_command("audit_purge", f"--before={TOMORROW}", "--reason=Retention", "--yes")
    assert "256 events were removed" in capsys.readouterr().out
    call_command("audit_purge", f"--before={TOMORROW}", "--reason=Retention", "--yes")
    assert "Nothing was removed" in capsys.readouterr().out


def test_without_a_usable_key_nothing_is_removed(db, settings):
    write(300)
    checkpoints.seal()
    settings.AUDIT_KEY_FILE.chmod(0o644)
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("audit_purge", f"--before={TOMORROW}", "--reason=x", "--yes")
    assert Event.objects.filter(pk=1).exists()


def test_erased_details_are_gone_and_the_event_says_so(db):
    write(5, details={"ticket": "T-1"})
    assert purging.erase([2, 3, 5], reason="A request") == 3
    assert list(Detail.objects.filter(seq__lte=5).order_by("seq").values_list("seq", flat=True)) == [1, 4]
    event = Event.objects.get(kind="audit.erased")
    assert event.facts == {"ranges": [[2, 3], [5, 5]], "count": 3}
    assert event.details["reason"] == "A request"
    assert Erasure.objects.filter(event=event.seq).count() == 2
    erased = Event.objects.get(pk=2)
    assert erased.has_lost_details
    assert erased.details == {}
    assert "…" not in sentences.of(Event.objects.get(pk=1))


def test_erasing_nothing_leaves_no_event(db):
    write(1)
    assert purging.erase([40], reason="x") == 0
    assert not Event.objects.filter(kind="audit.erased").exists()


def test_many_ranges_become_several_events(db, monkeypatch):
    monkeypatch.setattr(purging, "RANGES", 2)
    write(9)
    assert purging.erase([1, 3, 5, 7, 9], reason="x") == 5
    assert [event.facts["ranges"] for event in Event.objects.filter(kind="audit.erased").order_by("seq")] == [
        [[1, 1], [3, 3]],
        [[5, 5], [7, 7]],
        [[9, 9]],
    ]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a setting of SQLite")
def test_sqlite_overwrites_what_is_erased(db):
    write(1)
    purging.erase([1], reason="x")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete")
        assert cursor.fetchone()[0] == 1


CHOICES = {
    "before": (["--before", TOMORROW], {1, 2, 3, 4}),
    "a name": (["--name", " tilda BRANDTNER "], {2}),
    "a name of nobody": (["--name", "Tilda"], set()),
    "an invitation": (["--invitation", "abc"], {3}),
    "a ticket": (["--ticket", "T-9"], {4}),
    "numbers": (["--events", "2-3"], {2, 3}),
}


@pytest.mark.parametrize(("options", "erased"), CHOICES.values(), ids=CHOICES)
def test_the_command_erases_what_was_chosen(db, options, erased, capsys):
    audit.record("signout", result="ok", target_label="Lena")
    audit.record("signout", result="ok", target_label="Tilda Brandtner")
    audit.record("signout", result="ok", target_type="invitation", target_id="abc", target_label="Noor")
    audit.record("signout", result="ok", details={"ticket": "T-9"})
    call_command("audit_erase", "--reason=A request", *options)
    assert Detail.objects.count() == 4
    call_command("audit_erase", "--reason=A request", "--yes", *options)
    assert set(range(1, 5)) - set(Detail.objects.values_list("seq", flat=True)) == erased
    said = capsys.readouterr().out
    assert "Add --yes" in said if erased else "Nothing was erased" in said


def test_the_command_refuses_what_it_does_not_understand(db):
    for options in (["--events", "all"], [], ["--name", "a", "--ticket", "b"]):
        with pytest.raises(CommandError):
            call_command("audit_erase", "--reason=x", *options)


def test_days_begin_in_the_site_s_time_zone(settings):
    from portal.audit.management.commands.audit_purge import day

    settings.TIME_ZONE = "Europe/Berlin"
    timezone.get_default_timezone.cache_clear()
    try:
        assert day("2026-01-15") == datetime.fromisoformat("2026-01-15T00:00:00+01:00")
    finally:
        timezone.get_default_timezone.cache_clear()
