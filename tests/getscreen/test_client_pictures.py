"""Which pictures of a client's desktop are fetched and believed."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from portal.getscreen.errors import (
    BadRequest,
    Malformed,
    Unavailable,
)
from portal.getscreen.links import AllowedHosts
from portal.getscreen.types import Secret
from tests.getscreen.calls import KEY, call, real, shown
from tests.getscreen.wire import Wire, answer

# Pictures.

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 17 + b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20 + b"\xff\xd9"
WEBP = b"RIFF" + (16).to_bytes(4, "little") + b"WEBPVP8 " + b"\0" * 8


def picture(body: bytes, kind: str = "image/png", status: str = "200 OK", *headers: str) -> bytes:
    return answer(body, status, *headers).replace(b"application/json", kind.encode())


def look(wire: Wire):
    return real(wire).preview(Secret(f"http://127.0.0.1:{wire.port}/preview/a.png"))


@pytest.mark.parametrize(
    ("body", "claimed", "found"),
    [
        (PNG, "image/png", "image/png"),
        (JPEG, "image/jpeg", "image/jpeg"),
        (WEBP, "image/webp", "image/webp"),
        (JPEG, "image/png", "image/jpeg"),
        (PNG, "IMAGE/PNG; a=b", "image/png"),
    ],
)
def test_a_picture_is_what_its_bytes_say(body, claimed, found):
    with Wire([picture(body, claimed)]) as wire:
        seen = look(wire)
        assert (seen.content_type, seen.body) == (found, body)
        head = wire.received[0].lower()
        assert b"x-api-key" not in head
        assert b"accept: image/*" in head
        assert KEY.encode() not in head


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (PNG, "text/html"),
        (PNG, "image/svg+xml"),
        (PNG, "application/json"),
        (PNG, ""),
        (b"", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<svg/>", "image/png"),
        (b"<!doctype html>", "image/png"),
        (b"GIF89a", "image/gif"),
        (PNG[:8], "image/png"),
        (PNG[:-1], "image/png"),
        (PNG + b"<script>alert(1)</script>", "image/png"),
        (PNG + b"PK\x03\x04", "image/png"),
        (PNG[:20] + b"<HTML>" + PNG[20:], "image/png"),
        (JPEG[:20] + b"<Script>" + JPEG[20:], "image/jpeg"),
        (JPEG[:-2], "image/jpeg"),
        (WEBP + b"x", "image/webp"),
        (WEBP[:-1], "image/webp"),
        (b"RIFF\x14\0\0\0WAVEfmt " + b"\0" * 12, "image/webp"),
        (b"\0" + PNG, "image/png"),
    ],
)
def test_what_is_no_picture_or_more_than_one_is_refused(body, claimed):
    with Wire([picture(body, claimed)]) as wire, pytest.raises(Malformed):
        look(wire)


def test_a_picture_has_at_most_512_kibibytes():
    limit = 512 * 1024
    for size, error in ((limit, None), (limit + 1, Malformed)):
        with Wire([picture(PNG[:30] + b"\0" * (size - len(PNG)) + PNG[30:])]) as wire, ExitStack() as stack:
            if error:
                stack.enter_context(pytest.raises(error))
            assert len(look(wire).body) == size


@pytest.mark.parametrize("status", ["302 Found", "307 X", "403 X", "500 X", "204 X", "206 X"])
def test_any_other_answer_is_no_picture(status):
    with Wire([picture(PNG, "image/png", status, "Location: /preview/b.png")]) as wire:
        with pytest.raises(Unavailable):
            look(wire)
        assert len(wire.received) == 1


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_a_picture_that_is_gone_is_a_refusal(status):
    with Wire([picture(PNG, "image/png", status)]) as wire, pytest.raises(BadRequest):
        look(wire)


@pytest.mark.parametrize("url", ["", "https://evil.tld/a.png", "http://127.0.0.1:9/a.png", "file:///etc/passwd"])
def test_a_picture_elsewhere_is_not_fetched(url, api, simulator):
    with pytest.raises(BadRequest) as caught:
        api.preview(Secret(url))
    assert "evil" not in shown(caught.value)
    assert simulator.ledger.requests == ()


def test_a_joined_client_s_picture_is_fetched_without_the_key(api, simulator, row):
    assert call(api, "preview", row).content_type == "image/png"
    assert simulator.ledger.count("key_leaked") == 0


@pytest.fixture
def tried(monkeypatch) -> list[str]:
    """The addresses to which a connection was begun; none of them answers."""
    begun: list[str] = []

    def refuse(address, *args, **kwargs):
        begun.append(address[0])
        raise OSError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    return begun


@pytest.mark.parametrize(
    ("address", "is_tried"),
    [
        ("127.0.0.1", False),
        ("10.0.0.7", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("8.8.8.8", True),
    ],
)
def test_a_picture_whose_name_leads_into_a_private_network_is_not_asked_for(address, is_tried, tried, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [(None, None, None, "", (address, 443))])
    with Wire([]) as wire, pytest.raises(Unavailable):
        real(wire).preview(Secret("https://cdn.getscreen.me/a.png"))
    assert tried == ([address] if is_tried else [])


def test_a_machine_that_the_setting_names_with_its_port_may_be_private():
    allowed = AllowedHosts.parse(["getscreen.me", "screens.example.org:8443"])
    assert allowed.may_be_private("https://screens.example.org:8443/a.png")
    assert not allowed.may_be_private("https://screens.example.org/a.png")
    assert not allowed.may_be_private("https://cdn.getscreen.me/a.png")
    assert allowed.may_be_private("http://127.0.0.1:9/a.png")
