"""Start-up checks: what they refuse, and that their messages name the setting."""

from types import SimpleNamespace

import pytest
from django.core.checks import registry
from django.core.checks import run_checks as every_check

from portal import checks
from portal.getscreen.types import Secret


def ids(found):
    return [message.id for message in found]


def test_the_tests_own_configuration_passes(db):
    assert ids(every_check()) == []


def test_the_checks_are_registered():
    names = {check.__name__ for check in registry.registry.get_checks(include_deployment_checks=True)}
    assert {"check_getscreen", "check_hosts", "check_plain_http", "check_api_key"} <= names


@pytest.mark.parametrize(
    "address",
    [
        "http://api.getscreen.me/v1",
        "ftp://api.getscreen.me",
        "https://user:x@api.getscreen.me/v1",
        "api.getscreen.me",
        "",
    ],
)
def test_addresses_that_would_lose_the_key_are_refused(settings, address):
    settings.GETSCREEN_API_URL = address
    (found,) = checks.check_getscreen()
    assert found.id == "portal.E001"
    assert "GETSCREEN_API_URL" in found.msg
    assert "GETSCREEN_API_URL" in found.hint


@pytest.mark.parametrize(
    "path", ["agents/connect", "/agents/connect", "Agents/connect", "../agents/x", "https://evil.example/"]
)
def test_paths_that_open_devices_are_refused(settings, path):
    settings.GETSCREEN_CONNECT_PATH = path
    (found,) = checks.check_getscreen()
    assert found.id == "portal.E002"
    assert "GETSCREEN_CONNECT_PATH" in found.msg


def test_a_missing_certificate_file_is_refused(settings, tmp_path):
    settings.GETSCREEN_CA_FILE = str(tmp_path / "ca.pem")
    assert ids(checks.check_getscreen()) == ["portal.E003"]
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    assert ids(checks.check_getscreen()) == []


@pytest.mark.parametrize("hosts", [["*"], ["help.example.org", " * "], ["."]])
def test_every_host_name_at_all_is_refused(settings, hosts):
    settings.ALLOWED_HOSTS = hosts
    assert ids(checks.check_hosts()) == ["portal.E004"]


@pytest.mark.parametrize(
    ("insecure", "demo", "expected"), [(True, False, ["portal.W001"]), (True, True, []), (False, False, [])]
)
def test_plain_http_is_warned_about_outside_the_demo(monkeypatch, insecure, demo, expected):
    monkeypatch.setattr(checks, "settings", SimpleNamespace(INSECURE_HTTP=insecure, DEMO=demo))
    assert ids(checks.check_plain_http()) == expected


@pytest.mark.parametrize(("key", "expected"), [("", ["portal.W002"]), ("x", [])])
def test_a_missing_key_is_warned_about(monkeypatch, key, expected):
    monkeypatch.setattr(checks, "settings", SimpleNamespace(GETSCREEN_API_KEY=Secret(key)))
    assert ids(checks.check_api_key()) == expected


def test_a_secret_key_that_can_be_guessed_is_refused(settings):
    settings.SECRET_KEY = "abc"
    assert [problem.id for problem in checks.check_secret_key()] == ["portal.E007"]
    settings.SECRET_KEY = "a" * checks.SHORTEST_KEY
    assert checks.check_secret_key() == []
