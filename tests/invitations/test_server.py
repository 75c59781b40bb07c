"""How the server begins, rests and ends, in the process that starts the others and in those that answer."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from types import SimpleNamespace

import pytest
from django.test import Client
from gunicorn.arbiter import Arbiter as GunicornArbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.gthread import ThreadWorker

from invitations import background, server
from invitations.background import Background
from invitations.server import Arbiter, Worker
from portal import stopping


@pytest.fixture
def stage(monkeypatch):
    """The stage of a server that runs, gone with the test."""
    monkeypatch.setattr(stopping.stage, "shared", None)
    stopping.stage.share()
    return stopping.stage


@pytest.fixture
def arbiter(stage):
    """The starting process, without anything that it has started."""
    made = Arbiter.__new__(Arbiter)
    made.WORKERS, made._num_workers = {}, 0
    made._last_logged_active_worker_count = 0
    made.cfg = SimpleNamespace(enable_backlog_metric=False)
    return made


def test_a_server_that_is_asked_to_stop_leaves_at_once_by_default(arbiter, stage):
    with pytest.raises(StopIteration):
        arbiter.handle_term()
    assert stage.is_leaving


def test_with_time_to_drain_it_leaves_when_that_has_passed(arbiter, stage, settings, monkeypatch):
    settings.DRAIN_SECONDS = 20
    arbiter.handle_term()
    arbiter.manage_workers()
    assert stage.is_leaving
    assert not stage.is_ending
    now = time.monotonic()
    monkeypatch.setattr(server.time, "monotonic", lambda: now + 21)
    with pytest.raises(StopIteration):
        arbiter.manage_workers()


def test_asked_twice_it_does_not_wait(arbiter, settings):
    settings.DRAIN_SECONDS = 20
    arbiter.handle_term()
    with pytest.raises(StopIteration):
        arbiter.handle_term()


def test_a_server_that_leaves_is_not_ready_and_still_answers(db, stage):
    browser = Client()
    stage.note(stopping.LEAVING)
    answer = browser.get("/readyz")
    assert (answer.status_code, answer.json()["problem"]) == (503, "stopping")
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/accounts/login/", secure=True).status_code == 200


def test_a_stage_that_is_not_shared_stays_where_it_is():
    stage = stopping.Stage()
    stage.note(stopping.ENDING)
    assert not stage.is_leaving
    assert not stage.is_ending


def test_workers_that_end_as_soon_as_they_begin_come_ever_later(arbiter, caplog):
    young, old = SimpleNamespace(born_at=time.monotonic()), SimpleNamespace(born_at=time.monotonic() - 60)
    arbiter.note_end(young)
    assert arbiter.not_before == 0, "the first is replaced at once"
    rests = []
    for _ in range(8):
        arbiter.note_end(young)
        rests.append(round(arbiter.not_before - time.monotonic()))
    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]
    assert "A worker has ended" in caplog.text
    arbiter.num_workers_asked = []
    arbiter.WORKERS = None
    arbiter.manage_workers()  # looks at nothing while it rests
    arbiter.note_end(old)
    arbiter.note_end(young)
    assert arbiter.early_ends == 1


def test_a_worker_that_ends_with_the_server_is_no_reason_to_rest(arbiter, stage):
    stage.note(stopping.ENDING)
    arbiter.note_end(SimpleNamespace(born_at=time.monotonic()))
    arbiter.note_end(SimpleNamespace(born_at=time.monotonic()))
    assert arbiter.not_before == 0


def test_only_the_first_worker_that_could_not_begin_ends_the_program(arbiter, stage, monkeypatch):
    def fail(self):
        raise HaltServer("Worker failed to boot.", 3)

    monkeypatch.setattr(GunicornArbiter, "reap_workers", fail)
    with pytest.raises(HaltServer):
        arbiter.reap_workers()
    stage.note(stopping.ENDING)
    arbiter.reap_workers()


def worker_at(*listeners: socket.socket) -> Worker:
    made = Worker.__new__(Worker)
    made.sockets, made.nr_conns, made.taken = list(listeners), 0, []
    made.accept = lambda listener: take(made, listener)
    return made


def take(worker, listener):
    try:
        worker.taken.append(listener.accept()[0])
        worker.nr_conns += 1
    except BlockingIOError:
        pass


def test_who_stands_at_the_door_is_taken_in_and_nobody_else():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = listener.getsockname()
        clients = [socket.create_connection(address) for _ in range(3)]
        worker = worker_at(listener)
        asked = []
        worker.background = SimpleNamespace(ask=lambda: asked.append(True))
        worker.shut_door()
        assert (worker.nr_conns, asked) == (3, [True])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        for each in (*clients, *worker.taken):
            each.close()


def test_a_worker_shuts_its_door_only_if_it_stops_for_good(monkeypatch):
    shut = []
    monkeypatch.setattr(Worker, "shut_door", lambda self: shut.append(True))
    worker = Worker.__new__(Worker)
    worker.sockets, worker._accepting, worker.alive = [], True, True
    worker.set_accept_enabled(False)  # as many as it can carry
    assert shut == []
    worker.alive = False
    worker.set_accept_enabled(False)
    assert shut == [True]


def test_a_worker_without_the_process_that_started_it_leaves_as_if_it_was_asked_to():
    worker = Worker.__new__(Worker)
    worker.alive, worker.ppid = True, os.getppid()
    worker.log = logging.getLogger("test")
    assert worker.is_parent_alive()
    worker.ppid = -1
    assert not worker.is_parent_alive()
    assert not worker.alive


def test_a_signal_that_comes_while_a_worker_looks_for_its_parent_is_not_lost(monkeypatch):
    def look(self):
        self.handle_exit(signal.SIGTERM, None)
        return True

    monkeypatch.setattr(ThreadWorker, "is_parent_alive", look)
    worker = Worker.__new__(Worker)
    worker.alive, worker.method_queue = True, SimpleNamespace(defer=lambda callback: None)
    assert not worker.is_parent_alive()
    assert not worker.alive


def test_a_worker_that_was_told_to_end_before_it_could_hear_ends(stage):
    kept = {}
    worker = SimpleNamespace(cfg=SimpleNamespace(set=lambda name, value: kept.update({name: value})), alive=True)
    stage.note(stopping.ENDING)
    server.start_background(worker)
    assert not worker.alive
    assert kept == {"graceful_timeout": server.IN_FLIGHT}
    worker.background = None
    server.stop_background(None, worker)


def test_a_worker_carries_the_background_and_asks_for_no_more_requests_when_it_leaves(stage, monkeypatch):
    log, kept = [], {}
    made = SimpleNamespace(start=lambda: log.append("on"), stop=lambda: log.append("off"))
    monkeypatch.setattr(server, "Background", lambda: made)
    worker = SimpleNamespace(cfg=SimpleNamespace(set=lambda name, value: kept.update({name: value})))
    server.start_background(worker)
    server.let_go(worker, None)
    assert "keepalive" not in kept
    stage.note(stopping.LEAVING)
    server.let_go(worker, None)
    assert kept["keepalive"] == 0
    server.stop_background(None, worker)
    assert log == ["on", "off"]


def test_all_that_runs_beside_the_pages_has_one_deadline(monkeypatch):
    waited = []

    class Slow:
        def ask(self):
            waited.append("asked")

        def join(self, timeout):
            waited.append(timeout)

    for part in ("Watcher", "Forwarder", "Courier"):
        monkeypatch.setattr(background, part, Slow)
    one = Background()
    one.ask()
    one.asked_at -= 5
    one.stop(timeout=12)
    assert waited[:3] == ["asked"] * 3
    assert all(timeout <= 7 for timeout in waited[3:])
    one.asked_at -= 10
    one.stop(timeout=12)
    assert waited[-3:] == [0.0] * 3
