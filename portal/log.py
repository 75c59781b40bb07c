"""How the portal logs: one record one line, as JSON or as text, with the request's reference.

Also the second wall behind "no secret is ever logged": whatever looks like one is masked in every field.
Nothing that somebody typed can begin a line of its own or speak to a terminal.
"""

import json
import logging
import re
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter

SECRETS = re.compile(
    r"""(?ix)
    (?P<before> x-api-key["']?\s*[:=]\s*["']? | apikey= | /turbo/ | [?&](?:amp;)?(?:llt|s|connect|code|state)=
        | /enrol/ | /accounts/invite/ | /accounts/sign-in/ | /reset/key/ | (?:/|%2F)j(?:oin)?(?:/|%2F) )
    [^\s"'&<>]+
    """
)
# Would begin a line of its own, or speak to the terminal that shows it; lone surrogates cannot be written at all.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

reference: ContextVar[str] = ContextVar("reference", default="")  # of the current request; its page shows it
_speaks_on_stdout = False


def speak() -> None:
    """Log to stdout from now on, in this process and those it forks, and warnings and threads that die as well.

    Other programs than `serve` and `watch` log to stderr, so that their output stays what was asked for.
    """
    global _speaks_on_stdout
    _speaks_on_stdout = True
    logging.captureWarnings(True)
    threading.excepthook = _log_dead_thread


def _log_dead_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None:
        told = (died.exc_type, died.exc_value, died.exc_traceback)
        logging.getLogger(__name__).critical("A thread died", exc_info=told)


class Console(logging.StreamHandler[TextIO]):
    """Writes to stdout or stderr, whichever it is now."""

    @property
    def stream(self) -> TextIO:
        return sys.stdout if _speaks_on_stdout else sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignored: logging itself sets one at the beginning."""


class Redact(logging.Filter):
    """Mask keys, one-time links and tokens in a record's text and traceback, and note the request it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = on_one_line(masked(text_of(record)))
        record.args = None
        # Django logs some answers after their request has left the middleware, and hands it over.
        record.reference = getattr(getattr(record, "request", None), "reference", "") or reference.get()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text or record.stack_info:
            both = "\n".join(filter(None, (record.exc_text, record.stack_info)))
            record.exc_text = "\n".join(on_one_line(line) for line in masked(both).split("\n"))
        record.exc_info = record.stack_info = None  # formatters would write them once more, as they were
        return True


def text_of(record: logging.LogRecord) -> str:
    """Return the message, also of a record whose arguments do not fit: better odd than lost."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg!r} {record.args!r}"


def masked(text: str) -> str:
    return SECRETS.sub(lambda match: f"{match['before']}********", text)


def on_one_line(text: str) -> str:
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class Text(logging.Formatter):
    """For a person at a terminal. The lines of a traceback are indented."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        asked = getattr(record, "reference", "")
        where = f" [{asked}]" if asked else ""
        lines = [f"{self.head(record)}{where}", *(f"  {line}" for line in (record.exc_text or "").splitlines())]
        return "\n".join(lines)

    def head(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        return self.formatMessage(record)


class Json(JsonFormatter):
    """For programs: the same fields in every line, and no others, whatever a record carries.

    `log` tells these lines from the audit log's own (`portal.audit.lines`).
    """

    def __init__(self) -> None:
        super().__init__(json_ensure_ascii=True)

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data.update(
            time=at.replace("+00:00", "Z"),
            log="app",
            level=record.levelname,
            logger=record.name,
            message=record.getMessage(),
            request=getattr(record, "reference", ""),
            process=record.process,
            thread=record.threadName,  # the watcher, a lane of the outbox, or one that answers requests
        )
        if record.exc_text:
            log_data["exception"] = record.exc_text

    def process_log_record(self, log_data: LogData) -> LogData:
        return {name: masked(value) if isinstance(value, str) else value for name, value in log_data.items()}

    def jsonify_log_record(self, log_data: LogData) -> str:
        return json.dumps(log_data).replace("\x7f", "\\u007f")  # the one control character that JSON may show
