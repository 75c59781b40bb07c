"""Faults, told to the site's own Sentry if SENTRY_DSN names one: where in the code, never about whom or what.

A report is made here from its few parts, and nothing that is not one of them leaves: no text of an exception (a
database's quotes what was typed), no values of variables, no addresses, headers, cookies or bodies. The reference in
it finds the line in the portal's own log, which has the text. Sent from a thread of its own that nobody waits for.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from django.conf import settings

from portal import log

if TYPE_CHECKING:
    from types import TracebackType

    from sentry_sdk.client import BaseClient

KEPT = ("event_id", "timestamp", "level", "platform", "logger", "logentry", "exception", "tags", "release")
# Whose messages are written in the code; what goes into their places stays here.
OWN = ("portal", "invitations", "django.request")
UNTOLD = ("django.security",)  # strangers cause these as often as they like
AGAIN_AFTER = 60.0  # seconds, for the same fault in the same process
MOST = 200  # faults to remember
FRAMES = 50
CAUSES = 5
PATIENCE = 1.0  # seconds that a process waits at its end for reports on their way

client: BaseClient | None = None


def begin() -> None:
    """Report from now on, in this process. Without SENTRY_DSN nothing is loaded and nothing happens."""
    global client
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk

    client = sentry_sdk.Client(
        settings.SENTRY_DSN.reveal(),
        release=f"getscreen-portal@{settings.RELEASE}",
        default_integrations=False,  # they would patch the framework and collect requests
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        send_client_reports=False,
        enable_backpressure_handling=False,
        enable_metrics=False,
        include_local_variables=False,
        include_source_context=False,
        propagate_traces=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        spotlight=False,
        debug=False,
        before_send=only_what_is_kept,
        ca_certs=settings.SENTRY_CA_FILE or None,
        http_proxy=settings.SENTRY_PROXY_URL,  # "" is none, whatever the environment says
        https_proxy=settings.SENTRY_PROXY_URL,
        shutdown_timeout=PATIENCE,
    )


def end() -> None:
    """Send what is on its way, for a moment, and report no more."""
    global client
    ending, client = client, None
    if ending is not None:
        ending.close(timeout=PATIENCE)


def only_what_is_kept(event: Any, hint: Any) -> Any:
    """Leave out what the library adds by itself: the name of the host, packages, arguments of the program."""
    return {name: event[name] for name in KEPT if name in event}


class Handler(logging.Handler):
    """Reports log records of level ERROR and above. Must come before whatever masks them in place."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: dict[Any, float] = {}
        self.choosing = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        reporting = client
        if reporting is None or is_below(record.name, UNTOLD) or not self.is_news(record):
            return
        try:
            reporting.capture_event(event_of(record))
        except Exception:
            self.handleError(record)

    def is_news(self, record: logging.LogRecord) -> bool:
        """Say whether the same has not been told a moment ago: what fails each round would fill Sentry."""
        now, error = time.monotonic(), error_of(record)
        places = error.__traceback__ if error is not None else None
        way = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(places)]
        key = (record.name, record.lineno, view_of(record), type(error), *way)
        with self.choosing:
            if now - self.told.get(key, -AGAIN_AFTER) < AGAIN_AFTER:
                return False
            if len(self.told) >= MOST:
                self.told.clear()
            self.told[key] = now
        return True


def is_below(name: str, loggers: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in loggers)


def error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None


def view_of(record: logging.LogRecord) -> str:
    match = getattr(getattr(record, "request", None), "resolver_match", None)
    return match.view_name if match else ""


def event_of(record: logging.LogRecord) -> Any:
    request = getattr(record, "request", None)
    event: dict[str, Any] = {
        "level": "fatal" if record.levelno >= logging.CRITICAL else "error",
        "platform": "python",
        "logger": record.name,
        "timestamp": record.created,
        "tags": {
            "request": getattr(request, "reference", "") or log.reference.get(),
            "view": view_of(record),
            "thread": record.threadName or "",
        },
    }
    if isinstance(record.msg, str) and is_below(record.name, OWN):
        event["logentry"] = {"message": log.masked(record.msg)}
    if (error := error_of(record)) is not None:
        event["exception"] = {"values": exceptions(error)}
    return event


def exceptions(error: BaseException | None) -> list[dict[str, Any]]:
    """Return the error and what caused it, the first cause first, each by its kind and the places it went through."""
    found: list[dict[str, Any]] = []
    while error is not None and len(found) < CAUSES:
        kind = type(error)
        place = {"frames": frames(error.__traceback__)}
        found.insert(0, {"type": kind.__name__, "module": kind.__module__, "stacktrace": place})
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def frames(places: TracebackType | None) -> list[dict[str, Any]]:
    """Return the innermost frames, by names and numbers of lines alone."""
    return [
        {
            "module": str(frame.f_globals.get("__name__", "")),
            "function": frame.f_code.co_name,
            "filename": "/".join(frame.f_code.co_filename.split("/")[-3:]),
            "lineno": line,
            "in_app": is_below(str(frame.f_globals.get("__name__", "")), ("portal", "invitations")),
        }
        for frame, line in list(traceback.walk_tb(places))[-FRAMES:]
    ]
