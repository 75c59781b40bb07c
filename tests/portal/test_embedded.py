"""The embedded defaults of `manage.py start`: they fill gaps, never override, and keep secrets private."""

import os
import stat

import pytest

from portal import embedded


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """An empty environment and a place of its own for what is made; returns a function that prepares."""
    monkeypatch.setattr(embedded, "VAR", tmp_path / "var")

    def prepare(**variables):
        monkeypatch.setattr(os, "environ", {"ENV_FILE": str(tmp_path / "env")} | variables)
        monkeypatch.setattr(embedded.environ.Env, "ENVIRON", os.environ)
        embedded.prepare()
        return os.environ

    return prepare


def test_nothing_configured_is_the_demo(environment):
    found = environment()
    assert (found["DEMO"], found["INSECURE_HTTP"], found["REQUIRE_MFA"]) == ("1", "1", "off")
    assert found["LOG_FORMAT"] == "text"
    assert found["GETSCREEN_API_URL"].startswith("http://127.0.0.1:")
    assert found["GETSCREEN_LINK_HOSTS"] in found["GETSCREEN_API_URL"]
    assert found["DATABASE_URL"].endswith("/var/demo.sqlite3")
    assert "*" not in found["ALLOWED_HOSTS"]


def test_the_demo_stays_one_whatever_is_set_for_the_real_service(environment):
    found = environment(DATABASE_URL="postgres://real/database", GETSCREEN_API_URL="https://api.getscreen.me/v1")
    assert "demo.sqlite3" in found["DATABASE_URL"]
    assert found["GETSCREEN_API_URL"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("name", ["GETSCREEN_API_KEY", "GETSCREEN_API_KEY_FILE"])
def test_with_a_key_it_is_the_real_thing(environment, name):
    found = environment(**{name: "test-key-not-real"})
    assert "DEMO" not in found
    assert "DATABASE_URL" not in found
    assert "GETSCREEN_API_URL" not in found


def test_what_is_set_wins(environment):
    found = environment(INSECURE_HTTP="0", ALLOWED_HOSTS="help.example.org", REQUIRE_MFA="everyone")
    assert (found["INSECURE_HTTP"], found["ALLOWED_HOSTS"], found["REQUIRE_MFA"]) == (
        "0",
        "help.example.org",
        "everyone",
    )


def test_the_file_is_read_too(environment, tmp_path):
    (tmp_path / "env").write_text("GETSCREEN_API_KEY=test-key-not-real\nINSECURE_HTTP=0\n", encoding="utf-8")
    found = environment()
    assert found["INSECURE_HTTP"] == "0"
    assert "DEMO" not in found


@pytest.mark.parametrize("given", [{"SECRET_KEY": "x"}, {"SECRET_KEY_FILE": "/some/file"}])
def test_a_secret_key_is_made_only_if_there_is_none(environment, given):
    environment(**given)
    assert not (embedded.VAR / "secret_key").exists()


def test_made_secrets_are_long_random_kept_and_private(environment):
    environment()
    first = (embedded.VAR / "secret_key").read_text(encoding="utf-8")
    environment()
    assert (embedded.VAR / "secret_key").read_text(encoding="utf-8") == first
    assert len(first) >= 50
    assert first != (embedded.VAR / "demo_key").read_text(encoding="utf-8")
    for name in ("secret_key", "demo_key"):
        assert stat.S_IMODE((embedded.VAR / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(embedded.VAR.stat().st_mode) == 0o700


def test_free_ports_differ():
    assert 1024 < embedded.free_port() < 65536
