"""Start-up checks: what they refuse, and that their messages name the setting."""

import secrets
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from django.core.checks import registry
from django.core.checks import run_checks as every_check

from portal import checks
from portal.getscreen.types import Secret

SOUND = secrets.token_urlsafe(50)


def ids(found):
    return [message.id for message in found]


def test_the_tests_own_configuration_passes(db):
    assert ids(every_check()) == []


def test_the_checks_are_registered():
    names = {check.__name__ for check in registry.registry.get_checks(include_deployment_checks=True)}
    assert {"check_getscreen", "check_hosts", "check_encryption", "check_api_key"} <= names


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
    ("url", "switches", "expected"),
    [
        ("https://help.example.org", "", []),
        ("http://help.example.org", "", ["portal.E011"]),
        ("http://localhost:8000", "", ["portal.E011"]),
        ("http://help.example.org", "INSECURE_HTTP", ["portal.W001"]),
        ("http://localhost:8000", "INSECURE_HTTP DEMO", []),
        ("https://help.example.org", "DEBUG", ["portal.E010"]),
        ("http://127.0.0.1:8000", "DEBUG INSECURE_HTTP DEMO", []),
        ("http://help.example.org", "DEBUG INSECURE_HTTP", ["portal.E010", "portal.W001"]),
    ],
)
def test_passwords_in_the_clear_and_open_error_pages_are_refused(monkeypatch, url, switches, expected):
    on = {name: name in switches.split() for name in ("INSECURE_HTTP", "DEMO", "DEBUG")}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(PUBLIC_URL=url, **on))
    assert ids(checks.check_encryption()) == expected


def test_trusting_every_proxy_is_refused(settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    assert checks.check_proxies() == []
    settings.TRUSTED_PROXIES += [ip_network("::/0")]
    assert ids(checks.check_proxies()) == ["portal.E012"]


def test_a_secret_that_everybody_can_read_is_warned_about(settings, tmp_path):
    file = tmp_path / "key"
    file.write_text("x", encoding="utf-8")
    settings.SECRET_FILES = [file]
    file.chmod(0o640)
    assert checks.check_secret_files() == []
    file.chmod(0o644)
    assert ids(checks.check_secret_files()) == ["portal.W004"]


@pytest.mark.parametrize(("key", "expected"), [("", ["portal.W002"]), ("x", [])])
def test_a_missing_key_is_warned_about(monkeypatch, key, expected):
    monkeypatch.setattr(checks, "settings", SimpleNamespace(GETSCREEN_API_KEY=Secret(key)))
    assert ids(checks.check_api_key()) == expected


@pytest.mark.parametrize("weak", ["abc", "a" * 60, "abcabcab" * 10, "django-insecure-" + SOUND])
def test_a_secret_key_that_can_be_guessed_is_refused(settings, weak):
    settings.SECRET_KEY = weak
    assert ids(checks.check_secret_keys()) == ["portal.E007"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = SOUND, [SOUND]
    assert checks.check_secret_keys() == []
    settings.SECRET_KEY_FALLBACKS = [SOUND, weak]
    (found,) = checks.check_secret_keys()
    assert "SECRET_KEY_FALLBACKS" in found.msg
