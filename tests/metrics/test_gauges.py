"""What a scrape says of the installation is what the database says, whichever replica answers."""

from datetime import timedelta
from math import inf

import pytest
from django.db import connection
from django.utils import timezone

from invitations.models import Delivery, Invitation, Operation, Snapshot
from portal import audit
from portal.audit.models import Standing


def ago(**spans):
    return timezone.now() - timedelta(**spans)


def near(seconds):
    return pytest.approx(seconds, abs=60)  # however slow the machine is


def test_a_new_installation_has_never_looked_and_has_no_backup(scrape):
    found = scrape()
    assert found["portal_sync_age_seconds"] == inf
    assert found["portal_backup_age_seconds"] == inf
    assert found["portal_audit_verified_age_seconds"] == inf
    assert found["portal_clients_waiting"] == found["portal_oldest_wait_seconds"] == 0
    assert "portal_quota_left" not in found.families
    assert not Snapshot.objects.exists()  # asking makes nothing


def test_how_fresh_the_list_is_and_what_went_wrong(look, scrape, settings):
    look()
    Snapshot.objects.update(good_at=ago(hours=1), trouble="key", remaining=7, revision=42)
    settings.POLL_SECONDS, settings.IDLE_POLL_SECONDS = 3, 20
    found = scrape()
    assert found["portal_sync_age_seconds"] == near(3600)
    assert found["portal_sync_interval_seconds"] == 20
    assert found.get("portal_sync_trouble", trouble="key") == 1
    assert sum(value for (name, _), value in found.samples.items() if name == "portal_sync_trouble") == 1
    assert (found["portal_quota_left"], found["portal_revision"]) == (7, 42)


def test_who_waits_and_for_how_long(vendor, look, scrape):
    for status in (0, 0, 1, 1, 1, 2, 3):
        vendor.add("Tilda", status=status)
    look()
    joined = list(Invitation.objects.filter(status=1))
    Invitation.objects.filter(pk=joined[0].pk).update(joined_at=ago(hours=2))
    Invitation.objects.filter(pk=joined[1].pk).update(joined_at=ago(hours=9), taken_by_name="Mika")
    found = scrape()
    assert found["portal_clients_waiting"] == 2
    assert found["portal_oldest_wait_seconds"] == near(7200)
    by_status = {
        each["status"]: found.get("portal_invitations_open", **each) for each in found.labels("portal_invitations_open")
    }
    assert by_status == {"waiting": 2, "joined": 3, "active": 1, "unknown": 0}


def test_invitations_of_another_account_are_nobody_s_wait(vendor, look, scrape):
    vendor.add("Tilda", status=1)
    look()
    Invitation.objects.update(account="another")
    assert scrape()["portal_clients_waiting"] == 0


def test_actions_of_which_nobody_knows(db, scrape):
    Snapshot.load()
    kinds = [("a", "unknown", 1), ("b", "pending", 1), ("c", "unknown", 30), ("d", "failed", 1), ("e", "ok", 1)]
    for reference, state, hours in kinds:
        Operation.objects.create(reference=reference, verb="create", state=state, started_at=ago(hours=hours))
    assert scrape()["portal_operations_unknown"] == 2  # a day later it is for the audit log to tell


def test_what_is_not_delivered(db, scrape):
    mail, webhook = Delivery.Kind.MAIL, Delivery.Kind.WEBHOOK
    soon = timezone.now() + timedelta(hours=1)
    for facts in (
        {"kind": mail, "next_at": ago(minutes=30)},
        {"kind": mail, "next_at": ago(minutes=10)},
        {"kind": webhook, "next_at": soon},
        {"kind": webhook, "state": "failed", "ended_at": ago(hours=1)},
        {"kind": webhook, "state": "failed", "ended_at": ago(hours=30)},
        {"kind": mail, "state": "sent", "ended_at": ago(hours=1)},
    ):
        Delivery.objects.create(**facts)
    found = scrape()
    assert [found.get("portal_outbox_waiting", kind=kind) for kind in ("mail", "webhook")] == [2, 1]
    assert [found.get("portal_outbox_failed", kind=kind) for kind in ("mail", "webhook")] == [0, 1]
    assert found.get("portal_outbox_overdue_seconds", kind="mail") == near(1800)
    assert found.get("portal_outbox_overdue_seconds", kind="webhook") == 0


def test_the_log_and_its_outside_copies(db, scrape, settings, tmp_path):
    audit.record("signout")
    names = ("portal_audit_anchor_age_seconds", "portal_forward_lag_events", "portal_forward_lag_seconds")
    assert not set(names) & set(scrape().families)
    settings.SYSLOG_URL, settings.AUDIT_CHECKPOINT_DIR = "syslog+tcp://127.0.0.1:1", tmp_path
    found = scrape()
    assert (found["portal_audit_events"], found["portal_forward_lag_events"]) == (1, 1)
    assert found["portal_audit_anchor_age_seconds"] == inf
    Standing.note(
        anchored_at=ago(hours=5),
        verified_at=ago(hours=3),
        verified_state="tampered",
        triggers_missing_since=ago(hours=1),
        forwarded_seq=1,
    )
    found = scrape()
    assert found["portal_audit_anchor_age_seconds"] == near(5 * 3600)
    assert found["portal_audit_verified_age_seconds"] == near(3 * 3600)
    assert found["portal_audit_suspect"] == found["portal_audit_triggers_missing"] == 1
    assert found["portal_forward_lag_events"] == found["portal_forward_lag_seconds"] == 0


def test_how_old_the_last_good_backup_is(db, scrape, monkeypatch):
    audit.record("backup.made", result="failed")
    assert scrape()["portal_backup_age_seconds"] == inf
    audit.record("backup.made", result="ok")
    assert scrape()["portal_backup_age_seconds"] < 60


@pytest.mark.parametrize(("state", "suspect"), [("intact", 0), ("incomplete", 0), ("", 0), ("failed", 1)])
def test_a_log_is_suspect_if_it_was_changed_or_could_not_be_checked(db, scrape, state, suspect):
    Standing.note(verified_state=state)
    assert scrape()["portal_audit_suspect"] == suspect


def test_the_space_where_the_database_is_if_it_is_a_file(scrape, settings, tmp_path, monkeypatch):
    assert "portal_disk_free_bytes" not in scrape().families
    file = tmp_path / "portal.sqlite3"
    file.touch()
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(file))
    assert ("portal_disk_free_bytes" in scrape().families) == (connection.vendor == "sqlite")
