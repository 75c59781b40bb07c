"""What the environment may say: wrong values fail at start, with the variable's name and without its secrets."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "only-for-this-test-0123456789-0123456789-0123456789-0123456789"


def load(*cases):
    """Return the settings, or the error, for each environment. The module is run afresh and never imported."""
    return [load_one({"ENV_FILE": "none", "SECRET_KEY": KEY} | case) for case in cases]


def load_one(variables):
    with patch.dict(os.environ, variables, clear=True):
        try:
            found = runpy.run_path(str(ROOT / "portal" / "settings.py"))
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}", "shown": traceback.format_exc()}
    names = {name: value for name, value in found.items() if name.isupper()}
    return json.loads(json.dumps(names, default=str))


WRONG = [
    ("DEBUG", "maybe"),
    ("DEBUG", "2"),
    ("INSECURE_HTTP", "yess"),
    ("DEMO", "perhaps"),
    ("HSTS_PRELOAD", "preload"),
    ("PUBLIC_URL", "help.example.org"),
    ("PUBLIC_URL", "ftp://help.example.org"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://[bad"),
    ("PUBLIC_URL", "https://help.example.org/portal"),
    ("PUBLIC_URL", "https://help.example.org?x=1"),
    ("PUBLIC_URL", "https://help.example.org:99999"),
    ("PUBLIC_URL", "https://user:hunter2@help.example.org"),
    ("REQUIRE_MFA", "nobody"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("TRUSTED_PROXIES", "10.0.0.1, proxy.example.org"),
    ("GETSCREEN_LINK_HOSTS", "*"),
    ("GETSCREEN_LINK_HOSTS", "https://getscreen.me"),
    ("DRAIN_SECONDS", "301"),
    ("DRAIN_SECONDS", "-1"),
    ("POLL_SECONDS", "0"),
    ("POLL_SECONDS", "61"),
    ("POLL_SECONDS", "-3"),
    ("POLL_SECONDS", "2.5"),
    ("POLL_SECONDS", "often"),
    ("TICKET_URL", "tickets.example.org/{ticket}"),
    ("TICKET_URL", "https://{ticket}.example.org/"),
    ("TICKET_URL", "https://tickets.example.org/"),
    ("TICKET_URL", "javascript:alert({ticket})"),
    ("OIDC_ROLES", "helpdesk"),
    ("OIDC_ROLES", "helpdesk=Agent, helpdesk = Auditor"),
    ("TIME_ZONE", "Mars/Olympus"),
    ("DATABASE_URL", "not an address"),
    ("DATABASE_URL", "mysql://portal:hunter2@db/portal"),
    ("DATABASE_URL", "postgres://portal:hunter2@db:port/portal"),
    ("EMAIL_URL", "mail.example.org"),
    ("EMAIL_URL", "pigeon://user:hunter2@mail.example.org"),
    ("EMAIL_URL", "smtp://user:hunter2@mail.example.org:port"),
    ("EMAIL_FROM", "nobody in particular"),
    ("SMTP_TIMEOUT", "0"),
    ("METRICS_TOKEN", "too-short"),
    ("METRICS_TOKEN", "sixteen-characters-\u00fc"),
    ("METRICS_TOKEN_FILE", "/nothing/here"),
    ("SENTRY_DSN", "sentry.example.org/1"),
    ("SENTRY_DSN", "https://sentry.example.org/1"),
    ("SENTRY_DSN", "https://hunter2@sentry.example.org/"),
    ("SENTRY_DSN", "https://hunter2@sentry.example.org/one"),
    ("SENTRY_DSN", "https://hunter2@[bad/1"),
    ("SENTRY_DSN", "https://hunter2@sentry.example.org:port/1"),
    ("SENTRY_DSN", "https://hunter2@sentry.example.org/1?verify=0"),
    ("SENTRY_DSN", "http://hunter2@sentry.example.org/1"),
    ("SENTRY_CA_FILE", "/nothing/here"),
    ("SENTRY_PROXY_URL", "socks5://proxy.example.org"),
    ("BACKUP_HOURS", "24"),
    ("BACKUP_HOURS", "3, noon"),
    ("BACKUP_KEEP_DAYS", "0"),
    ("BACKUP_KEEP_WEEKS", "-1"),
    ("WEBHOOK_PRIVATE_HOSTS", "10.0.0.0/33"),
    ("WEBHOOK_PRIVATE_HOSTS", "https://chat.example.org"),
    ("WEBHOOK_PRIVATE_HOSTS", "*"),
    ("SECRET_KEY_FILE", "/nothing/here"),
    ("SECRET_KEY_FILE", "/"),
    ("GETSCREEN_API_KEY_FILE", "/nothing/here"),
]


def test_what_is_wrong_fails_with_the_variable_s_name_and_without_passwords():
    cases = [{name: value} | ({"SECRET_KEY": ""} if name.startswith("SECRET") else {}) for name, value in WRONG]
    for (name, value), found in zip(WRONG, load(*cases), strict=True):
        assert found.get("error", "").startswith("ImproperlyConfigured: "), (name, value, found.get("error"))
        assert name in found["error"], (name, value, found["error"])
        assert "hunter2" not in found["shown"], (name, value)


def test_a_command_ends_with_one_line_about_what_is_wrong():
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "none", "SECRET_KEY": KEY, "OIDC_ROLES": "helpdesk"}
    command = [sys.executable, "manage.py", "self_check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["OIDC_ROLES must look like helpdesk=Agent, helpdesk-admins=Administrator."]


def test_defaults_are_the_secure_ones():
    (found,) = load({})
    assert found["DEBUG"] is False
    assert found["DEMO"] is False
    assert found["INSECURE_HTTP"] is False
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert found["SECURE_HSTS_PRELOAD"] is False
    assert (found["SESSION_COOKIE_SECURE"], found["SESSION_COOKIE_HTTPONLY"]) == (True, True)
    assert (found["CSRF_COOKIE_SECURE"], found["CSRF_COOKIE_HTTPONLY"]) == (True, True)
    assert found["SESSION_COOKIE_NAME"] == "__Host-sessionid"
    assert found["ALLOWED_HOSTS"] == ["localhost"]
    assert found["TRUSTED_PROXIES"] == []
    assert found["REQUIRE_MFA"] == "everyone"
    assert found["GETSCREEN_API_URL"] == "https://api.getscreen.me/v1"
    assert found["PASSWORD_HASHERS"][0] == "portal.accounts.hashing.Hasher"  # Argon2id
    assert found["CACHES"]["default"]["OPTIONS"]["MAX_ENTRIES"] >= 100_000
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"
    assert "synchronous=FULL" in found["DATABASES"]["default"]["OPTIONS"]["init_command"]
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert found["DATABASES"]["default"]["ATOMIC_REQUESTS"] is False
    assert "unsafe" not in str(found["SECURE_CSP"])


def test_plain_http_is_one_switch():
    (found,) = load({"INSECURE_HTTP": "1"})
    assert (found["SECURE_SSL_REDIRECT"], found["SECURE_HSTS_SECONDS"]) == (False, 0)
    assert (found["SESSION_COOKIE_SECURE"], found["CSRF_COOKIE_SECURE"]) == (False, False)
    assert (found["SESSION_COOKIE_NAME"], found["CSRF_COOKIE_NAME"]) == ("sessionid", "csrftoken")
    assert found["SESSION_COOKIE_HTTPONLY"] is True


def test_an_empty_variable_is_one_that_is_not_set():
    names = sorted(variables() - {"SECRET_KEY", "ENV_FILE"})
    bare, empty, blank = load({}, dict.fromkeys(names, ""), dict.fromkeys(names, "  "))
    assert bare == empty == blank


FROM_FILES = ["SECRET_KEY", "GETSCREEN_API_KEY", "DATABASE_URL", "EMAIL_URL", "METRICS_TOKEN", "SENTRY_DSN"]


@pytest.mark.parametrize("name", FROM_FILES)
def test_secrets_come_from_files_as_well_stripped(tmp_path, name):
    value = {
        "SECRET_KEY": KEY[::-1],
        "GETSCREEN_API_KEY": "test-key-not-real",
        "DATABASE_URL": "postgres://portal@db:5433/other",
        "EMAIL_URL": "smtp://mail.example.org:2525",
        "METRICS_TOKEN": "only-for-this-test",
        "SENTRY_DSN": "https://key@sentry.example.org/1",
    }[name]
    file = tmp_path / "secret"
    file.write_text(f"{value}\r\n\n", encoding="utf-8")
    direct, from_file, both = load(
        {name: value}, {name: "", f"{name}_FILE": str(file)}, {name: value, f"{name}_FILE": "/nothing/here"}
    )
    assert (direct.pop("SECRET_FILES"), from_file.pop("SECRET_FILES"), both.pop("SECRET_FILES")) == (
        [],
        [str(file)],
        [],
    )
    assert direct == from_file == both
    assert "error" not in direct


def test_an_empty_secret_file_is_a_missing_secret(tmp_path):
    (tmp_path / "secret").write_text("\n", encoding="utf-8")
    (found,) = load({"SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert "Set SECRET_KEY (or SECRET_KEY_FILE)" in found["error"]


@pytest.mark.parametrize("url", ["sqlite://:memory:", "sqlite:////nothing/here/portal.sqlite3"])
def test_a_database_that_cannot_be_opened_yet_is_not_an_error_of_the_settings(url):
    (found,) = load({"DATABASE_URL": url})
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"


def test_without_a_secret_key_the_error_names_it(tmp_path):
    for folder in ("portal", "portal/getscreen"):
        (tmp_path / folder).mkdir(parents=True)
        for file in (ROOT / folder).glob("*.py"):
            (tmp_path / folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "import portal.settings"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "ENV_FILE": "none"},
        timeout=60,
    )
    assert "Set SECRET_KEY (or SECRET_KEY_FILE)" in done.stderr


def test_dollars_and_signs_in_secrets_are_themselves():
    found = load(
        {"SECRET_KEY": f"${KEY}"},
        {"DATABASE_URL": "postgres://portal:p%40ss%2Fw%23rd@db/portal"},
        {"EMAIL_URL": "smtp+tls://user:p%40ss@mail.example.org:587"},
    )
    assert found[0]["SECRET_KEY"] == f"${KEY}"
    assert found[1]["DATABASES"]["default"]["PASSWORD"] == "p@ss/w#rd"
    assert found[2]["MAILERS"]["default"]["OPTIONS"] == {
        "host": "mail.example.org",
        "port": 587,
        "username": "user",
        "password": "p@ss",
        "use_tls": True,
        "timeout": 10,
    }


def test_lists_are_stripped():
    (found,) = load({"ALLOWED_HOSTS": " a.example.org , b.example.org,, ", "TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16"})
    assert found["ALLOWED_HOSTS"] == ["a.example.org", "b.example.org"]
    assert found["TRUSTED_PROXIES"] == ["10.0.0.1/32", "10.1.0.0/16"]


def test_the_address_decides_names_origins_and_sender():
    (found,) = load({"PUBLIC_URL": "https://help.example.org/"})
    assert found["PUBLIC_URL"] == "https://help.example.org"
    assert found["ALLOWED_HOSTS"] == ["help.example.org"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://help.example.org"]
    assert found["DEFAULT_FROM_EMAIL"] == "helpdesk@help.example.org"


def test_values_also_come_from_a_file_and_the_environment_wins(tmp_path):
    file = tmp_path / "env"
    file.write_text("TIME_ZONE=Europe/Berlin\nPOLL_SECONDS=7\n", encoding="utf-8")
    (found,) = load({"ENV_FILE": str(file), "POLL_SECONDS": "9"})
    assert (found["TIME_ZONE"], found["POLL_SECONDS"]) == ("Europe/Berlin", 9)


def test_the_key_does_not_show_itself():
    (found,) = load({"GETSCREEN_API_KEY": "test-key-not-real"})
    assert "test-key-not-real" not in str(found)


def variables():
    """Every variable that settings.py reads, and what chooses the database's role before it."""
    source = "".join((ROOT / "portal" / name).read_text(encoding="utf-8") for name in ("settings.py", "ownership.py"))
    found = re.findall(
        r'\b(?:text|secret|words|hours|pairs|choice|flag|number|address|ticket_url|url_config|env\.get)\(\s*"([A-Z_]+)"',
        source,
    )
    return set(found)


def documented(text):
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))


def test_every_variable_is_documented_and_nothing_else():
    assert len(variables()) > 20
    assert documented((ROOT / ".env.example").read_text(encoding="utf-8")) == variables()


def test_readmes_name_only_variables_that_exist():
    named = re.findall(r"^\| `([A-Z_]+)`", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= variables()


def test_only_settings_read_the_environment():
    allowed = {
        "portal/settings.py",
        "portal/embedded.py",
        "portal/ownership.py",
        "portal/wsgi.py",
        "manage.py",
        "invitations/demo.py",
    }
    for file in [*(ROOT / "portal").rglob("*.py"), *(ROOT / "invitations").rglob("*.py")]:
        name = file.relative_to(ROOT).as_posix()
        if name not in allowed and not name.startswith("portal/getscreen/simulator/"):
            assert not re.search(r"os\.environ|getenv", file.read_text(encoding="utf-8")), name
