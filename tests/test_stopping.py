"""How `serve` and `watch` end as real processes: asked nicely, twice, too early, by the wrong signal, or with -9."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from portal.getscreen.simulator import Simulator
from tests import batteries, chain
from tests.installation import ROOT, Installation, vendor_on_a_port, wait_until
from tests.replicas import family
from tests.test_processes import Person

MOMENTS = batteries.count(short=2, long=40)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[tuple[Simulator, Installation]]:
    with (
        vendor_on_a_port(seed=4) as (vendor, server),
        Installation(tmp_path_factory.mktemp("stopping"), server) as portal,
    ):
        portal.prepare((("lead", "Ada", "Ferreira", "Team lead"),))
        yield vendor, portal


class Gate:
    """Holds up one call at the vendor until it is opened."""

    def __init__(self, vendor: Simulator, operation: str) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        vendor.before(operation, self.hold)

    def hold(self) -> None:
        self.reached.set()
        self.opened.wait(11)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def problem(portal: Installation) -> str:
    answer = requests.get(f"{portal.url}/readyz", timeout=20)
    return str(answer.json()["problem"])


def test_a_stop_turns_others_away_and_lets_whoever_waits_for_the_vendor_have_the_answer(site):
    vendor, portal = site
    process = portal.serve(workers=2, DRAIN_SECONDS="300")
    path = f"/invitations/{portal.known(vendor.add('Tilda', status=1), 1)}/connect/"
    lead = Person(portal, "lead")
    gate = Gate(vendor, "connect")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lead.post, path)
        assert gate.reached.wait(30)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: problem(portal) == "stopping")
        # Whoever comes all the same is answered, and told that this connection ends.
        answer = requests.Session().get(f"{portal.url}/accounts/login/", timeout=20)
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        process.send_signal(signal.SIGTERM)  # no more waiting for the proxy
        wait_until(lambda: refuses(portal.port), says="the door stays open")
        process.send_signal(signal.SIGTERM)
        assert process.poll() is None
        gate.opened.set()
        assert waiting.result(60).status_code == 303
    assert process.wait(60) == 0
    assert portal.ask("SELECT lease_token FROM invitations_snapshot") == [("",)]
    assert portal.ask("SELECT kind FROM audit_event WHERE kind LIKE 'system.st%' ORDER BY seq DESC LIMIT 1") == [
        ("system.stopped",)
    ]
    assert chain.faults_in(portal.ask) == []


def test_a_hang_up_brings_new_workers_and_ctrl_c_ends_in_good_order(site):
    _, portal = site
    process = portal.serve(workers=2)
    before = set(family(process.pid)[1:])
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(set(family(process.pid)[1:]) - before) == 2 and not before & set(family(process.pid)))
    assert problem(portal) == ""
    (worker, *_) = family(process.pid)[1:]
    subprocess.run(["kill", "-9", str(worker)], check=True)
    wait_until(lambda: len(family(process.pid)) == 3, says="the worker is not replaced")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert portal.ask("SELECT kind FROM audit_event WHERE kind LIKE 'system.st%' ORDER BY seq DESC LIMIT 1") == [
        ("system.stopped",)
    ]


def test_workers_whose_parent_was_killed_leave_and_give_their_lease_back(site):
    _, portal = site
    process = portal.serve(workers=2)
    workers = family(process.pid)[1:]
    wait_until(lambda: portal.ask("SELECT 1 FROM invitations_snapshot WHERE lease_token <> ''"))
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), says="the workers stay")
    assert portal.ask("SELECT lease_token FROM invitations_snapshot") == [("",)]


def test_a_stop_during_the_start_is_a_stop(site):
    _, portal = site
    log = portal.folder / "early.log"
    for number in range(MOMENTS):
        with log.open("w") as output:
            process = begin(portal, output, "serve", "--bind", f"127.0.0.1:{portal.port}")
        if number % 2:
            threading.Event().wait(number / 10)  # at any moment
        else:
            wait_until(lambda: "Listening on" in log.read_text(), seconds=60)  # while workers boot
        process.send_signal(signal.SIGTERM)
        # Before Python runs at all the system ends it; GRACE seconds would be a worker that has not heard.
        assert process.wait(25) in (0, -signal.SIGTERM), log.read_text()


def begin(portal: Installation, output: object, *arguments: str, first: str = "") -> subprocess.Popen[bytes]:
    """Start a command; `first` is Python that its process runs before."""
    program = ["manage.py", *arguments]
    if first:
        run = f"import sys, django; sys.argv = {program}; django.setup(); {first}; " + RUN
        program = ["-c", run]
    process = subprocess.Popen(
        [sys.executable, *program], cwd=ROOT, env=portal.environment, stdout=output, stderr=output
    )
    portal._processes.append(process)
    return process


RUN = "from django.core.management import execute_from_command_line as run; run(sys.argv)"


def test_a_worker_that_cannot_begin_ends_the_server_instead_of_being_started_for_ever(site):
    _, portal = site
    log = portal.folder / "broken.log"
    with log.open("w") as output:
        break_it = "from invitations import server; server.Background = lambda: 1 / 0"
        process = begin(portal, output, "serve", "--bind", f"127.0.0.1:{portal.port}", first=break_it)
    assert process.wait(60) == 3
    assert "Worker failed to boot" in log.read_text()
    assert portal.ask("SELECT kind FROM audit_event WHERE kind LIKE 'system.st%' ORDER BY seq DESC LIMIT 1") == [
        ("system.stopped",)
    ]


def test_a_thread_that_waits_for_the_vendor_is_no_worker_that_hangs(site):
    """The time after which a worker counts as hanging is 60 s; here it is one that a call may outlast."""
    vendor, portal = site
    log = portal.folder / "patient.log"
    with log.open("w") as output:
        hurry = "from invitations import server; server.WORKER_TIMEOUT = 2"
        process = begin(portal, output, "serve", "--bind", f"127.0.0.1:{portal.port}", "--workers=1", first=hurry)
    path = f"/invitations/{portal.known(vendor.add('Tilda', status=1), 1)}/connect/"
    lead = Person(portal, "lead")
    gate = Gate(vendor, "connect")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lead.post, path)
        assert gate.reached.wait(30)
        threading.Event().wait(5)
        gate.opened.set()
        assert waiting.result(60).status_code == 303
    assert "WORKER TIMEOUT" not in log.read_text()
    process.terminate()
    assert process.wait(60) == 0


def test_serve_and_watch_on_one_sqlite_file_survive_each_other(site):
    vendor, portal = site
    web, watcher = portal.serve(workers=2), portal.watch()
    portal.known(vendor.add("With both"))
    watcher.kill()
    watcher.wait()
    portal.known(vendor.add("Without the watcher"))
    watcher = portal.watch()
    for pid in family(web.pid):
        subprocess.run(["kill", "-9", str(pid)], check=False)
    web.wait()
    portal.known(vendor.add("Without the server"))
    watcher.terminate()
    assert watcher.wait(60) == 0
    assert portal.ask("PRAGMA integrity_check") == [("ok",)]
    assert chain.faults_in(portal.ask) == []
