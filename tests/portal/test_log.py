"""The second wall: secrets are masked in messages and tracebacks, and nothing begins a line of its own."""

import io
import logging
from types import SimpleNamespace

import pytest

from portal.log import Redact

HIDDEN = "Kq3hiddenhiddenhidden"


@pytest.fixture
def written():
    """Return a function that logs through the filter and returns what is written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Redact())
    handler.setFormatter(logging.Formatter("{levelname} {message}", style="{"))
    logger = logging.Logger("test")
    logger.addHandler(handler)

    def log(*args, **kwargs):
        logger.error(*args, **kwargs)
        return stream.getvalue()

    return log


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


def test_the_portal_s_loggers_use_it(settings):
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["redact"]
    for name in ("urllib3", "requests"):
        assert settings.LOGGING["loggers"][name]["level"] == "WARNING"
