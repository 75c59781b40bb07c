"""The production server: gunicorn with threads, because pages wait while the vendor thinks.

Each worker process carries the threads of `invitations.background`. Nothing is written to an access log: addresses of
enrolment and password reset are secrets.

    SIGTERM   /readyz says so, for DRAIN_SECONDS all go on being answered     a second SIGTERM ends that at once
              the door is shut, requests in flight are finished, threads end   25 s at most
              the end is recorded, sealed and forwarded; exit code 0
    SIGINT    the same without waiting for requests
    SIGHUP    new workers of the same code and settings, one generation after the other
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from typing import Any

from django.conf import settings
from django.db import connections
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter as GunicornArbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger as GunicornLogger

from invitations.background import Background
from invitations.connections import Worker as PatientWorker
from portal import reports
from portal.audit import forwarding, program
from portal.metrics import memory, traffic
from portal.stopping import ENDING, LEAVING, stage

logger = logging.getLogger(__name__)

# Longer than the longest vendor call (12 s) with its look-back and waits for the database.
WORKER_TIMEOUT = 60
IN_FLIGHT = 25  # seconds for requests in flight when the door is shut: a connect may take 17 and what the database adds
GRACE = 30  # seconds after which a worker that has not ended is killed
YOUNG = 10.0  # seconds: a worker that ends earlier may have been about to end again and again
LONGEST_REST = 30.0  # seconds before the next one is started
# After so many seconds a thread that computes lets another go on. An action asks the database fifty times, while others
# wait for their turn to write: with Python's 5 ms, one board rendered beside it could cost it a quarter of a second.
SWITCH = 0.000_2
MOST_FILES = 8_192  # systems let a process have a thousand unless it asks


class Logger(GunicornLogger):  # type: ignore[misc]
    """Gunicorn's own lines, through the portal's handlers: one format, one stream, the same secrets masked."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.setLevel(self.LOG_LEVELS[cfg.loglevel])
        self.error_log.propagate = True


class Worker(PatientWorker):
    """A process that answers."""

    alive: bool
    background: Background | None = None

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self.shut_door()

    def shut_door(self) -> None:
        """Take in who stands at the door and close it, before what is in flight is waited for.

        The system goes on taking connections for an open listener. Nobody would answer them here, and they would be
        cut off in the end; at a closed one a proxy learns at once that it must ask elsewhere.
        """
        for listener in self.sockets:
            known = -1
            while known < self.nr_conns:
                known = self.nr_conns
                self.accept(listener)
            listener.close()
        if self.background is not None:
            self.background.ask()

    def is_parent_alive(self) -> bool:
        """Without the process that has started us nobody would end us: leave as if asked to.

        Only ever takes life: SIGTERM may come at any moment in here, and must not be written over.
        """
        if not super().is_parent_alive():
            self.alive = False
        return self.alive


class Arbiter(GunicornArbiter):  # type: ignore[misc]
    """The process that starts the others, and takes its time where haste does harm."""

    leaves_at: float | None = None  # on the monotonic clock, as all here
    not_before = 0.0
    early_ends = 0  # of workers, in a row

    def handle_term(self) -> None:
        """Say that we leave, and do so after a while; at once if asked again."""
        stage.note(LEAVING)
        if self.leaves_at is None and settings.DRAIN_SECONDS:
            self.leaves_at = time.monotonic() + settings.DRAIN_SECONDS
        else:
            super().handle_term()

    def stop(self, graceful: bool = True) -> None:
        stage.note(ENDING)
        super().stop(graceful)

    def reap_workers(self) -> None:
        """Bury who has ended. The first that could not begin ends the program; a second must not interrupt that."""
        try:
            super().reap_workers()
        except HaltServer:
            if not stage.is_ending:
                raise

    def manage_workers(self) -> None:
        """Called about once a second, and after every signal."""
        now = time.monotonic()
        if self.leaves_at is not None and now >= self.leaves_at:
            super().handle_term()
        if now >= self.not_before:
            super().manage_workers()

    def note_end(self, worker: Any) -> None:
        """Start the next worker the later, the more of them ended as soon as they were there."""
        lived = time.monotonic() - worker.born_at
        self.early_ends = self.early_ends + 1 if lived < YOUNG and not stage.is_ending else 0
        if self.early_ends > 1:
            rest = min(LONGEST_REST, 2.0 ** (self.early_ends - 2))
            self.not_before = time.monotonic() + rest
            logger.error("A worker has ended %.1f s after its start. The next one starts in %d s.", lived, rest)


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn configured from our own few options."""

    def __init__(self, *, bind: str, workers: int, threads: int) -> None:
        self.options: dict[str, Any] = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "worker_class": Worker,
            "worker_connections": max(100, open_files() - 200),
            "timeout": WORKER_TIMEOUT,
            "graceful_timeout": GRACE,
            "keepalive": 5,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108  # nosec B108
            "sendfile": False,  # what is sent past the worker's own buffer would overtake it
            "limit_request_line": 8190,
            "loglevel": "warning",
            "logger_class": Logger,
            "forwarded_allow_ips": "",  # the portal's own TRUSTED_PROXIES decides
            "secure_scheme_headers": {},
            "proc_name": "getscreen-portal",
            "pre_fork": expect,
            "post_fork": settle,
            "post_worker_init": start_background,
            "pre_request": let_go,
            "worker_exit": stop_background,
            "child_exit": note_end,
            "on_exit": stop,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Any:
        from portal.wsgi import application

        return application

    def run(self) -> None:
        # Twice as many as there are workers: while they are replaced, old and new ones run.
        traffic.begin(regions=2 * self.options["workers"] + 1)
        connections.close_all()  # a database connection must not cross the fork into the workers
        stage.share()
        Arbiter(self).run()


def open_files() -> int:
    """Let this process and its workers have as many open files as they may, each connection is one; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def expect(arbiter: Any, worker: Any) -> None:
    """Note when the new worker began, and choose where it counts: where no living one does, on from a dead one."""
    worker.born_at = time.monotonic()
    taken = {other.region for other in arbiter.WORKERS.values()}
    worker.region = memory.free_region(taken)


def settle(arbiter: Any, worker: Any) -> None:
    """Begin in the process that was just made."""
    memory.take(worker.region)
    sys.setswitchinterval(SWITCH)


def note_end(arbiter: Any, worker: Any) -> None:
    arbiter.note_end(worker)


def start_background(worker: Any) -> None:
    """The last step before a worker answers. One that was asked to end before it could hear that ends now."""
    worker.cfg.set("graceful_timeout", IN_FLIGHT)  # in this process alone: the rest of GRACE is for its threads
    if stage.is_ending:
        worker.alive = False
        return
    reports.begin()
    worker.background = Background()
    worker.background.start()


def let_go(worker: Any, request: Any) -> None:
    """While the server leaves, say with every answer that the connection ends with it: `Connection: close`."""
    if stage.is_leaving:
        worker.cfg.set("keepalive", 0)


def stop_background(arbiter: Any, worker: Any) -> None:
    if worker.background is not None:
        worker.background.stop()
    reports.end()


def stop(arbiter: Any) -> None:
    """Record the end, in the process that has started the workers and outlives them, and send it off."""
    program.stopped()
    forwarding.flush()
