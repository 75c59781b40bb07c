"""What the self-check finds, in a sound installation and in each that is not."""

import io
from collections import namedtuple
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from invitations.models import Snapshot
from portal import self_check
from portal.accounts import roles
from portal.audit import triggers
from portal.audit.models import Standing
from portal.backups import keeping
from portal.getscreen.types import Secret
from tests.accounts.second_steps import give_app, give_codes

PAGE = "/admin/self-check/"


def found(topic, **how):
    return {(one.state, one.says, one.fix) for one in self_check.run(**how) if one.topic == topic}


def states(topic, **how):
    return sorted(state for state, _, _ in found(topic, **how))


def test_the_dangerous_comes_first(vendor, db):
    order = [one.state for one in self_check.run(calls=True)]
    assert order == sorted(order, key=("wrong", "unwise", "unknown", "ok").index)
    assert "wrong" in order  # nobody administers it


def test_a_key_that_works_and_a_clock_that_is_right(vendor, db):
    assert states("Getscreen", calls=True) == ["ok", "ok"]


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (40, "wrong"), (-40, "wrong")])
def test_a_clock_that_is_wrong(seconds, state, vendor, db, monkeypatch):
    vendor.now = lambda: timezone.now().timestamp() + seconds
    outcomes = found("Getscreen", calls=True)
    assert state in {one for one, says, _ in outcomes if "clock" in says}


def test_a_key_that_is_rejected(vendor, db):
    vendor.api_key = "another"
    ((state, _, fix),) = found("Getscreen", calls=True)
    assert state == "wrong"
    assert "GETSCREEN_API_KEY" in fix


def test_without_a_call_the_watcher_s_last_look_counts(vendor, look):
    assert states("Getscreen") == ["unknown"]
    look()
    assert states("Getscreen") == ["ok"]
    vendor.api_key = "another"
    look()
    assert states("Getscreen") == ["wrong"]
    assert len(vendor.ledger.requests) == 2


def test_a_watcher_that_has_died(vendor, look):
    look()
    assert states("Watcher") == ["ok"]
    Snapshot.objects.update(attempted_at=timezone.now() - timezone.timedelta(hours=1))
    assert states("Watcher") == ["wrong"]


def test_no_key_at_all(settings, db):
    settings.GETSCREEN_API_KEY = Secret("")
    assert states("Watcher") == ["wrong"]


def test_mail(settings, db, monkeypatch):
    assert states("Mail") == ["unknown"]
    assert states("Mail", calls=True) == ["ok"]
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.open", refuse)
    ((state, says, _),) = found("Mail", calls=True)
    assert state == "wrong"
    assert "hunter2" not in says
    settings.MAILERS = {}
    assert states("Mail", calls=True) == ["unwise"]


def refuse(self):
    raise OSError("535 user helpdesk password hunter2")


def test_the_page_says_which_address_it_sees(admin, browser_of, vendor, settings):
    browser = browser_of(admin)
    assert "I see you at 203.0.113.7." in browser.get(PAGE, REMOTE_ADDR="203.0.113.7").content.decode()
    forwarded = {"REMOTE_ADDR": "10.0.0.1", "headers": {"x-forwarded-for": "203.0.113.7"}}
    assert "Add 10.0.0.1 to TRUSTED_PROXIES" in browser.get(PAGE, **forwarded).content.decode()
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.1")]
    assert "I see you at 203.0.113.7, through a trusted proxy." in browser.get(PAGE, **forwarded).content.decode()


def test_the_page_asks_others_only_when_told(admin, browser_of, vendor):
    browser = browser_of(admin)
    browser.get(PAGE)
    assert not vendor.ledger.requests
    assert "Getscreen accepts the key." in browser.post(PAGE).content.decode()
    assert len(vendor.ledger.requests) == 1


def test_a_log_without_its_triggers(db):
    assert "ok" in states("Audit log")
    triggers.drop(connection)
    try:
        assert "wrong" in states("Audit log")
    finally:
        triggers.reinstall()


def test_a_log_that_was_changed(db):
    Standing.note(verified_state="tampered", verified_at=timezone.now(), verified_findings=["event 7"])
    assert "wrong" in states("Audit log")


def test_outside_copies(settings, db, tmp_path):
    settings.AUDIT_CHECKPOINT_DIR = None
    assert states("Outside copies") == ["unwise"]
    settings.AUDIT_CHECKPOINT_DIR = tmp_path
    Standing.note(anchor_error="No space left on device")
    assert states("Outside copies") == ["wrong"]
    Standing.note(anchor_error="", forward_error="refused")
    settings.SYSLOG_URL = "syslog+tcp://127.0.0.1:1"
    assert states("Outside copies") == ["wrong"]


def test_second_factors(settings, agent, lead):
    settings.REQUIRE_MFA = "everyone"
    ((state, says, _),) = found("Second factors")
    assert (state, says) == ("unwise", "2 of 2 people have no second factor: agent, lead.")
    give_app(agent)
    give_codes(lead)  # no factor of its own
    assert "1 of 2" in found("Second factors").pop()[1]
    Authenticator.objects.create(user=lead, type="webauthn", data={})
    assert states("Second factors") == ["ok"]
    settings.REQUIRE_MFA = "off"
    assert states("Second factors") == ["ok", "unwise"]


def test_administrators_and_people_who_wait(make_person, admin):
    assert states("People") == ["unwise"]
    make_person("second", roles.ADMINISTRATOR)
    assert states("People") == ["ok"]
    make_person("new", awaits_approval=True)
    assert states("People") == ["ok", "unwise"]


def test_a_full_disk(settings, tmp_path, monkeypatch):
    file = tmp_path / "portal.sqlite3"
    file.touch()
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(file))
    monkeypatch.setattr(self_check.connection, "vendor", "sqlite", raising=False)
    usage = namedtuple("Usage", "total used free")

    def outcomes(free):
        monkeypatch.setattr(self_check.shutil, "disk_usage", lambda path: usage(9, 9, free))
        return [state for state, *_ in self_check.look_at_space(self_check.Circumstances(None, calls=False))]

    assert outcomes(5_000_000_000) == ["ok"]
    assert outcomes(9) == ["wrong"]


def test_a_bare_address_takes_no_passkeys(settings, db):
    assert states("Host names") == []
    settings.ALLOWED_HOSTS = ["10.0.0.7"]
    assert states("Host names") == ["unwise"]


def test_dangerous_settings_are_told(settings, db):
    assert "wrong" not in states("Settings")
    settings.DEBUG = True
    assert "wrong" in states("Settings")


def test_the_command_says_it_all_and_how_it_ends(vendor, db, make_person, look):
    look()
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("self_check", stdout=out)
    assert ended.value.code == 1
    assert "!!  People: Nobody administers the portal." in out.getvalue()
    assert "      → Run `manage.py create_admin`." in out.getvalue()
    make_person("one", roles.ADMINISTRATOR)
    call_command("self_check", offline=True, stdout=out)


@pytest.mark.parametrize(
    ("folder", "hours", "trouble", "expected"),
    [
        (False, None, "", ["unknown"]),
        (False, 5, "", ["unknown"]),
        (True, None, "", ["wrong"]),
        (True, 5, "", ["ok"]),
        (True, 27, "", ["wrong"]),
        (True, 5, "No space left", ["wrong"]),
    ],
)
def test_how_old_the_last_backup_is(folder, hours, trouble, expected, db, settings, monkeypatch, tmp_path):
    settings.BACKUP_DIR = tmp_path if folder else None
    monkeypatch.setattr(self_check.schedule, "hours_since_backup", lambda: hours)
    monkeypatch.setattr(self_check.schedule, "last_failure", lambda: trouble)
    assert states("Backups") == expected
    assert not trouble or trouble in str(found("Backups"))


def test_backups_on_the_disk_of_the_database_are_unwise(db, settings, monkeypatch, tmp_path):
    settings.BACKUP_DIR = tmp_path
    fake = SimpleNamespace(vendor="sqlite", settings_dict={"NAME": tmp_path / "x"})
    monkeypatch.setattr(keeping, "connection", fake)
    assert not keeping.is_on_disk_of_database(tmp_path)
    (tmp_path / "x").touch()
    assert keeping.is_on_disk_of_database(tmp_path)
    fake.vendor = "postgresql"
    assert not keeping.is_on_disk_of_database(tmp_path)
    monkeypatch.setattr(keeping, "is_on_disk_of_database", lambda _: True)
    assert "unwise" in [state for state, *_ in self_check.look_at_backups(self_check.Circumstances(None, False))]


def test_the_command_says_what_to_do_about_a_database_that_is_not_prepared(db, monkeypatch):
    def run(**_):
        raise OperationalError("no such table: audit_standing\nLINE 1: SELECT")

    monkeypatch.setattr(self_check, "run", run)
    with pytest.raises(CommandError, match=r"\(no such table: audit_standing\).*manage.py upgrade"):
        call_command("self_check", stdout=io.StringIO())


def test_the_command_asks_nobody_offline(vendor, db, make_person, look):
    make_person("one", roles.ADMINISTRATOR)
    look()
    call_command("self_check", offline=True, stdout=io.StringIO())
    assert len(vendor.ledger.requests) == 1
