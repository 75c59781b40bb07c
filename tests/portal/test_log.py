"""The second wall: secrets are masked in every field, and nothing begins a line of its own."""

import io
import json
import logging
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import log
from portal.log import Console, Json, Redact, Text

HIDDEN = "Kq3hiddenhiddenhidden"
FIELDS = {"time", "log", "level", "logger", "message", "request", "process", "thread"}


def logger_with(formatter):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Redact())
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


@pytest.fixture(autouse=True)
def outside_of_requests():
    log.reference.set("")


@pytest.fixture
def written():
    """Return a function that logs as text and returns what is written after the time."""
    logger, stream = logger_with(Text())

    def write(*args, **kwargs):
        logger.error(*args, **kwargs)
        return re.sub(r"^\d{4}-\d\d-\d\d [\d:,]+ (\w+) test: ", r"\1 ", stream.getvalue())

    return write


@pytest.fixture
def fields():
    """Return a function that logs as JSON and returns the fields of the one line."""
    return json_fields


def json_fields(*args, **kwargs):
    logger, stream = logger_with(Json())
    logger.error(*args, **kwargs)
    line, end = stream.getvalue().split("\n")
    assert end == ""
    assert line.isascii()
    assert line.isprintable()
    return json.loads(line)


SECRETS = [
    f"X-Api-Key: {HIDDEN}",
    f"{{'x-api-key': '{HIDDEN}', 'a': 'b'}}",
    f'"X-API-KEY"="{HIDDEN}"',
    f"GET /v1/support/list?apikey={HIDDEN}&x=1",
    f"https://go.getscreen.me/turbo/{HIDDEN}",
    f"https://go.getscreen.me/x?llt={HIDDEN}",
    f"https://go.getscreen.me/x?a=b&s={HIDDEN}&c=d",
    f"https://go.getscreen.me/x?a=b&amp;connect={HIDDEN}",
    f"Not Found: /accounts/enrol/{HIDDEN}/",
    f"Not Found: /accounts/password/reset/key/1-{HIDDEN}/x",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked_in_messages_arguments_and_tracebacks(written, text):
    assert HIDDEN not in written(text)
    assert HIDDEN not in written("It was %s", text)
    assert HIDDEN not in written("It was %(it)s", {"it": text})
    try:
        raise ValueError(text)
    except ValueError:
        shown = written("It failed", exc_info=True)
    assert "ValueError" in shown
    assert "********" in shown
    assert HIDDEN not in shown


def test_the_rest_stays_readable(written):
    assert (
        written("Not Found: %s", "/invitations/abc/?apikey=x&q=1")
        == "ERROR Not Found: /invitations/abc/?apikey=********&q=1\n"
    )


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\x1b[31m", "\x00", "\x85", "\u2028", "\x7f"])
def test_what_somebody_typed_cannot_begin_a_line_or_speak_to_the_terminal(written, sign):
    shown = written("Not Found: %s", f"/a{sign}ERROR forged")
    assert shown.count("\n") == 1
    assert shown.isprintable() or shown[:-1].isprintable()


def test_the_lines_of_a_traceback_are_indented(written):
    try:
        raise ValueError("first\nERROR forged\x1b[31m")
    except ValueError:
        lines = written("It failed", exc_info=True).splitlines()
    assert lines[0] == "ERROR It failed"
    assert all(line.startswith("  ") for line in lines[1:])
    assert "\x1b" not in "".join(lines)


def test_a_line_carries_the_reference_that_the_page_shows(written):
    request = SimpleNamespace(reference="0a1b2c3d")
    assert (
        written("Internal Server Error: /", extra={"request": request}) == "ERROR Internal Server Error: / [0a1b2c3d]\n"
    )


def fail(text):
    raise ValueError(text)


def failing(text):
    try:
        fail(text)
    except ValueError:
        return json_fields("It failed", exc_info=True)


def test_a_line_of_json_has_these_fields_and_no_others(fields):
    found = fields("Not Found: %s", "/x", extra={"request": SimpleNamespace(reference="0a1b2c3d"), "status_code": 404})
    assert set(found) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    wanted = {"log": "app", "level": "ERROR", "logger": "test", "message": "Not Found: /x", "request": "0a1b2c3d"}
    assert wanted.items() <= found.items()
    assert fields("Nobody asked")["request"] == ""


def test_a_traceback_is_one_field():
    found = failing("first\nsecond\x1b[31m")
    assert set(found) == FIELDS | {"exception"}
    assert found["exception"].startswith("Traceback (most recent call last)")
    assert found["exception"].endswith("ValueError: first\nsecond\\x1b[31m")


def test_the_place_of_a_call_is_in_that_field_as_well(fields):
    assert "json_fields" in fields("Where", stack_info=True)["exception"]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked_in_every_field(fields, text):
    found = [fields(text), fields("It was %s", text), fields({"it": text}), fields("Twice %s", text, text)]
    found += [failing(text), fields(text, stack_info=True), fields("x", extra={"other": text, "request": text})]
    assert HIDDEN not in json.dumps(found)
    assert "********" in found[4]["exception"]


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_whatever_is_logged_is_one_line_of_json(text):
    log.reference.set("")
    found = [json_fields("%s", text), json_fields("%s", [text], extra={"a": text}), failing(text)]
    assert all(set(each) >= FIELDS for each in found)
    assert not any(log.CONTROLS.search(each["message"]) for each in found)


def test_arguments_that_do_not_fit_are_shown_as_they_are(fields):
    assert fields("%d and %d", 1)["message"] == "'%d and %d' (1,)"


def test_lines_go_to_stderr_unless_a_server_speaks(capsys, monkeypatch):
    monkeypatch.setattr(log, "_speaks_on_stdout", False)
    handler = Console()
    handler.setFormatter(Text())
    record = logging.makeLogRecord({"msg": "hello", "name": "test"})
    handler.emit(record)
    assert "hello" in capsys.readouterr().err
    monkeypatch.setattr(log, "_speaks_on_stdout", True)
    handler.emit(record)
    assert "hello" in capsys.readouterr().out


def test_a_thread_that_dies_is_a_line(caplog):
    try:
        fail("in a thread")
    except ValueError as error:
        log._log_dead_thread(SimpleNamespace(exc_type=ValueError, exc_value=error, exc_traceback=error.__traceback__))
    log._log_dead_thread(SimpleNamespace(exc_type=SystemExit, exc_value=None, exc_traceback=None))
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert "in a thread" in caplog.text


def test_the_portal_s_loggers_use_it(settings):
    console = settings.LOGGING["handlers"]["console"]
    assert (console["formatter"], console["filters"]) == ("json", ["redact"])
    for name in ("urllib3", "requests"):
        assert settings.LOGGING["loggers"][name]["level"] == "WARNING"
