"""The production server: gunicorn with threads, because pages wait while the vendor thinks.

Each worker process carries a watcher thread, one that forwards the audit log, and two that send
mails and call webhooks. Nothing is written to an access log: addresses of enrolment and password reset are secrets.
"""

from __future__ import annotations

import os
import resource
from typing import Any

from django.db import connections
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger as GunicornLogger

from invitations.courier import Courier
from invitations.watcher import Watcher
from portal.audit import program
from portal.audit.forwarding import Forwarder

# Longer than the longest vendor call (12 s) with its look-back and waits for the database.
WORKER_TIMEOUT = 60
GRACE = 30
MOST_FILES = 8_192  # systems let a process have a thousand unless it asks


class Logger(GunicornLogger):  # type: ignore[misc]
    """Gunicorn's own lines, through the portal's handlers: one format, one stream, the same secrets masked."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.setLevel(self.LOG_LEVELS[cfg.loglevel])
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn configured from our own few options."""

    def __init__(self, *, bind: str, workers: int, threads: int) -> None:
        self.options: dict[str, Any] = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "worker_class": "invitations.connections.Worker",
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
            "post_worker_init": start_watcher,
            "worker_exit": stop_watcher,
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
        connections.close_all()  # a database connection must not cross the fork into the workers
        super().run()


def open_files() -> int:
    """Let this process and its workers have as many open files as they may, each connection is one; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def start_watcher(worker: Any) -> None:
    worker.watcher, worker.forwarder, worker.courier = Watcher(), Forwarder(), Courier()
    worker.watcher.start()
    worker.forwarder.start()
    worker.courier.start()


def stop_watcher(arbiter: Any, worker: Any) -> None:
    for name in ("watcher", "forwarder", "courier"):
        if hasattr(worker, name):
            getattr(worker, name).stop()


def stop(arbiter: Any) -> None:
    """Record the end, in the process that has started the workers and outlives them."""
    program.stopped()
