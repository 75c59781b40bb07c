"""Starting, serving and watching: what each command refuses, prepares and says."""

import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from invitations import background, demo, server, static_files
from invitations.management.commands import serve, start, watch
from invitations.models import Invitation, Status
from portal import log
from portal.accounts.models import User
from portal.audit import lines
from portal.audit.models import Event
from portal.metrics import memory
from portal.metrics.counts import Counts

KEY = secrets.token_urlsafe(50)


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """What `serve` and `watch` change in their process for good: where they log."""
    for module in (log, lines):
        monkeypatch.setattr(module, "speak", lambda: None)


@pytest.fixture
def never_runs(monkeypatch, tmp_path, settings):
    """The commands as they are, up to the moment the server would take over."""
    runs = []
    settings.STATIC_ROOT = tmp_path / "static"
    monkeypatch.setattr(server.Server, "run", lambda self: runs.append(dict(self.options)))
    return runs


def test_serve_runs_the_server_on_the_given_address(never_runs, db):
    call_command("serve", bind="127.0.0.1:9999", workers=1, threads=2, stdout=io.StringIO())
    assert (never_runs[0]["bind"], never_runs[0]["workers"], never_runs[0]["threads"]) == ("127.0.0.1:9999", 1, 2)
    assert Event.objects.filter(kind="system.started").count() == 1


def test_serve_refuses_what_is_dangerous_and_logs_what_is_unwise(never_runs, db, settings, caplog):
    settings.INSECURE_HTTP, settings.DEBUG = True, True
    with pytest.raises(CommandError, match=r"do.* not start .*\n.*E010: DEBUG is on"):
        call_command("serve", stdout=io.StringIO())
    assert never_runs == []
    assert any("portal.W001" in record.getMessage() for record in caplog.records)


def test_serve_shows_no_code_to_other_machines(settings):
    settings.DEBUG = True
    serve.refuse_open_debugging("127.0.0.1:8000")
    serve.refuse_open_debugging("[::1]:8000")
    with pytest.raises(CommandError, match="DEBUG"):
        serve.refuse_open_debugging("0.0.0.0:8000")


def test_serve_refuses_a_database_that_is_not_prepared(monkeypatch, db):
    monkeypatch.setattr(serve.MigrationExecutor, "migration_plan", lambda self, targets: [("something", False)])
    with pytest.raises(CommandError, match="upgrade"):
        serve.refuse_unmigrated()


def test_serve_refuses_a_database_that_cannot_be_opened(tmp_path):
    environment = {"DATABASE_URL": "sqlite:////proc/nowhere/x.sqlite3", "SECRET_KEY": KEY, "ENV_FILE": "none"}
    answer = subprocess.run(
        [sys.executable, "manage.py", "serve"], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "DATABASE_URL" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_static_files_are_collected_once(settings, tmp_path, monkeypatch):
    settings.STATIC_ROOT = tmp_path / "static"
    static_files.ensure_collected()
    assert (Path(settings.STATIC_ROOT) / "icons.svg").exists()
    calls = []
    monkeypatch.setattr(static_files, "call_command", lambda *args, **kwargs: calls.append(args))
    static_files.ensure_collected()
    assert calls == []


def test_each_worker_counts_where_no_living_one_does(monkeypatch):
    monkeypatch.setattr(memory, "current", Counts([memory.PROCESS], regions=3))
    made = [type("Worker", (), {})() for _ in range(3)]
    arbiter = type("Arbiter", (), {"WORKERS": {}})()
    for number, worker in enumerate(made):
        server.expect(arbiter, worker)
        server.settle(arbiter, worker)
        arbiter.WORKERS[number] = worker
    assert [worker.region for worker in made] == [0, 1, 2]
    assert memory.processes() == [(region, os.getpid()) for region in range(3)]
    del arbiter.WORKERS[1]
    server.expect(arbiter, made[1])
    assert made[1].region == 1


def test_the_servers_options_are_known_to_gunicorn():
    made = server.Server(bind="127.0.0.1:9999", workers=1, threads=2)
    assert made.cfg.threads == 2
    assert made.cfg.forwarded_allow_ips == []
    assert callable(made.load())


def test_watch_needs_a_key(settings):
    from portal.getscreen.types import Secret

    settings.GETSCREEN_API_KEY = Secret("")
    with pytest.raises(CommandError, match="GETSCREEN_API_KEY"):
        call_command("watch")


@pytest.fixture
def idle(monkeypatch):
    """`watch` with threads that end at once or when asked; returns which were."""
    asked = []
    for part in ("Watcher", "Forwarder", "Courier"):
        monkeypatch.setattr(background, part, lambda part=part: Idle(part, asked))
    return asked


class Idle:
    """A part of the background that does nothing."""

    def __init__(self, name, asked):
        self.name, self.asked = name, asked
        self.thread = threading.Thread(target=lambda: None)

    def start(self):
        self.thread.start()

    def ask(self):
        self.asked.append(self.name)

    def join(self, timeout):
        self.thread.join(timeout)


def test_watch_runs_until_it_is_told_to_stop(db, monkeypatch, idle):
    handlers = {}
    monkeypatch.setattr(watch.signal, "signal", lambda number, handler: handlers.update({number: handler}))
    end = threading.Event()

    def start(self):
        self.thread = threading.Thread(target=end.wait)
        self.thread.start()
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        handlers[signal.SIGINT](signal.SIGINT, None)

    monkeypatch.setattr(Idle, "start", start)
    monkeypatch.setattr(Idle, "ask", lambda self: (idle.append(self.name), end.set()))
    call_command("watch")
    assert idle == ["Watcher", "Forwarder", "Courier"]
    assert list(Event.objects.order_by("seq").values_list("kind", flat=True)[:2]) == [
        "system.started",
        "system.stopped",
    ]


def test_a_watcher_that_ends_by_itself_is_no_success(db, monkeypatch, idle):
    monkeypatch.setattr(watch.signal, "signal", lambda number, handler: None)
    with pytest.raises(CommandError, match="ended by itself"):
        call_command("watch")
    assert idle == ["Watcher", "Forwarder", "Courier"]


def test_start_says_where_to_enrol_while_there_is_no_administrator(never_runs, db, monkeypatch):
    monkeypatch.setattr(start, "refuse_taken", lambda port: None)
    out = io.StringIO()
    call_command("start", port=8123, stdout=out)
    assert "http://localhost:8123/accounts/enrol/" in out.getvalue()
    assert never_runs[0]["bind"] == "127.0.0.1:8123"


def test_start_does_not_offer_enrolment_beside_an_administrator(never_runs, admin, monkeypatch):
    monkeypatch.setattr(start, "refuse_taken", lambda port: None)
    out = io.StringIO()
    call_command("start", stdout=out)
    assert "enrol" not in out.getvalue()


def test_start_as_a_demo_has_one_person_per_role(never_runs, vendor, db, settings, monkeypatch):
    for name in ("Tilda", "Bo", "Marek", "Priya"):
        vendor.add(name, status=2 if name == "Marek" else 0)
    settings.DEMO = True
    monkeypatch.setattr(start, "refuse_taken", lambda port: None)
    monkeypatch.setattr(demo, "simulator", __import__("contextlib").nullcontext)
    first, second = io.StringIO(), io.StringIO()
    call_command("start", stdout=first)
    call_command("start", stdout=second)
    assert first.getvalue() != second.getvalue(), "passwords are new at each start"
    assert {user.role_names[0] for user in User.objects.all()} == {"Agent", "Team lead", "Auditor", "Administrator"}
    assert Invitation.objects.filter(is_external=False).exists()
    assert Invitation.objects.get(status=Status.ACTIVE).taken_by_name or Invitation.objects.get(status=2).is_external


def test_a_restarted_demo_leaves_history_alone_and_closes_what_is_gone(vendor, look, caplog):
    demo.seed()
    User.objects.filter(username="agent").update(is_active=False)
    for number in range(8):
        vendor.add(f"Old {number}")
    demo.furnish()
    left_external = set(Invitation.objects.filter(is_external=True).values_list("pk", flat=True))
    old = {row.pk: (row.ticket, row.created_by_name) for row in Invitation.objects.all()}
    assert left_external
    vendor._rows.clear()
    for number in range(3):
        vendor.add(f"New {number}")
    demo.seed()
    demo.furnish()
    assert User.objects.get(username="agent").is_active
    rows = Invitation.objects.filter(pk__in=old)
    assert {row.pk: (row.ticket, row.created_by_name) for row in rows} == old
    assert {row.status for row in rows} == {Status.CLOSED}
    assert set(rows.filter(is_external=True).values_list("pk", flat=True)) == left_external
    tickets = [row.ticket for row in Invitation.objects.open() if row.ticket]
    assert tickets
    assert len(tickets) == len(set(tickets))
    assert "unknown" not in caplog.text


def test_a_furnished_demo_gives_no_ticket_twice(vendor, db):
    demo.seed()
    for number in range(20):
        vendor.add(f"Client {number}")
    demo.furnish()
    tickets = [row.ticket for row in Invitation.objects.open() if row.ticket]
    assert sorted(tickets) == sorted(filter(None, demo.TICKETS))


def test_a_missing_mail_server_is_no_warning():
    environment = {"SECRET_KEY": KEY, "GETSCREEN_API_KEY": "k", "ENV_FILE": "none"}
    answer = subprocess.run(
        [sys.executable, "manage.py", "check"], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0
    assert "mail.W001" not in answer.stdout + answer.stderr


def test_an_empty_env_file_means_the_one_beside_manage_py(monkeypatch, tmp_path):
    from portal import embedded

    (tmp_path / ".env").write_text("GETSCREEN_API_KEY=real\n", encoding="utf-8")
    monkeypatch.setattr(embedded, "BASE_DIR", tmp_path)
    monkeypatch.setattr(embedded, "VAR", tmp_path / "var")
    environment = {"ENV_FILE": "", "SECRET_KEY": "x"}
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr(embedded.environ.Env, "ENVIRON", environment)
    embedded.prepare()
    assert environment["GETSCREEN_API_KEY"] == "real"
    assert "DEMO" not in environment


def test_start_refuses_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandError, match="--port"):
            start.refuse_taken(taken.getsockname()[1])
    start.refuse_taken(0)


def test_the_demos_simulator_is_a_process_that_ends_with_the_body(settings):
    from portal.embedded import free_port

    port = free_port()
    settings.GETSCREEN_API_URL = f"http://127.0.0.1:{port}/v1"
    with demo.simulator(), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_migrate_alone_prepares_the_database(db):
    tables = connection.introspection.table_names()
    assert {"portal_cache", "audit_event"} <= set(tables)
