"""What the documents promise about security is what the code does: each table is held against its source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django import forms
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands
from django.db import connection

from invitations import branding, guesses
from invitations.forms import CreateForm, NoteForm, OutcomeForm, RenameForm
from invitations.models import Policy
from portal.accounts import imports, passwords, tries
from portal.accounts.factors import FRESH_SECONDS
from portal.accounts.models import LIFETIMES, OneTimeLink
from portal.audit.export import BATCH
from portal.audit.search import WINDOW
from portal.getscreen import client as getscreen
from portal.getscreen import configured
from portal.getscreen.breaker import Breaker
from tests.test_architecture import SOURCES, imports_of, relative

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROMISES = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> dict[str, list[str]]:
    """Return the cells of the section's tables by the first of each line, without heads."""
    heads = ("| What |", "| File |", "| Call ", "| Key ", "| Way ", "| Level ")
    lines = [line for line in section(title).splitlines() if line.startswith("| ") and not line.startswith(heads)]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {first.strip("` "): others for first, *others in cells}


def test_limits_are_those_of_the_settings():
    told = {name: cells[0] for name, cells in rows("Limits").items()}
    limits = (*tries.LIMITS, guesses.NETWORK, guesses.WIDER, guesses.EVERYWHERE)
    assert told == {each.name: f"{each.allowed} in {each.seconds // 60} minutes" for each in limits}
    others = {name: rate for name, rate in (settings.ACCOUNT_RATE_LIMITS | settings.MFA_RATE_LIMITS).items() if rate}
    assert others
    assert all(f"`{name}` `{rate}`" in section("Limits") for name, rate in others.items())


def test_limits_of_each_person_are_as_delivered():
    connects, creates = Policy().connects_per_ten_minutes, Policy().creates_per_hour
    words = f"may connect {connects} times in ten minutes and make {creates} invitations in an hour"
    assert words in " ".join(DOCUMENT.split())


def test_timings_are_those_of_the_client():
    told = {name: tuple(map(float, cells)) for name, cells in rows("Where it connects to").items() if len(cells) == 4}
    found = {name: (one.connect, one.read, one.deadline, one.attempts) for name, one in getscreen.TIMINGS.items()}
    assert told == found
    text = " ".join(section("Where it connects to").split())
    places = configured.client.__wrapped__()._slots._initial_value
    assert f"Each process has {places} places" in text
    assert f"waits {getscreen.PATIENCE:g} s and then fails" in text
    assert f"After {Breaker.CONSECUTIVE} failures in a row" in text


def test_every_address_of_the_settings_that_is_connected_to_is_listed():
    source = (ROOT / "portal" / "settings.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"((?!PUBLIC|STATIC|TICKET)[A-Z_]+_URL)"', source))
    assert named == {
        "GETSCREEN_API_URL",
        "GETSCREEN_PROXY_URL",
        "OIDC_PROXY_URL",
        "DATABASE_URL",
        "EMAIL_URL",
        "SYSLOG_URL",
        "SENTRY_PROXY_URL",
    }
    assert all(f"`{name}`" in section("Where it connects to") for name in named)


# Whatever could open a connection. `embedded` and `start` look for a free port, `appending` asks the machine's name.
REACHING = {
    "portal/getscreen/client.py": {"requests"},
    "portal/getscreen/transport.py": {"requests", "socket", "http.client"},
    "portal/getscreen/watch.py": {"socket"},
    "portal/accounts/openid.py": {"requests"},
    "portal/audit/appending.py": {"socket"},
    "portal/audit/syslog.py": {"socket", "ssl"},
    "portal/audit/forwarding.py": {"socket"},
    "portal/accounts/adapter.py": {"django.core.mail"},
    "portal/accounts/people.py": {"django.core.mail"},
    "portal/mail/smtp.py": {"smtplib"},
    "invitations/sending.py": {"django.core.mail", "smtplib", "ssl"},
    "portal/self_check.py": {"django.core.mail", "smtplib"},
    "portal/checks.py": {"ssl"},
    "portal/reports.py": {"sentry_sdk"},
    "portal/embedded.py": {"socket"},
    "invitations/management/commands/start.py": {"socket"},
    "invitations/connections.py": {"socket"},  # those that clients have made: it opens none
}


def test_only_the_listed_modules_open_connections():
    networking = {
        "requests",
        "socket",
        "ssl",
        "smtplib",
        "ftplib",
        "http.client",
        "urllib.request",
        "django.core.mail",
        "sentry_sdk",
    }
    for path in SOURCES:
        if "simulator" in path.parts:
            continue
        found = networking & imports_of(path)
        assert found <= REACHING.get(relative(path), set()), relative(path)


def test_every_secret_setting_is_in_the_inventory_of_keys():
    source = "".join((ROOT / "portal" / name).read_text(encoding="utf-8") for name in ("settings.py", "ownership.py"))
    secret = set(re.findall(r'secret\("([A-Z_]+)"', source)) | {"DATABASE_OWNER_URL", "AUDIT_KEY_FILE"}
    assert {"SECRET_KEY", "GETSCREEN_API_KEY", "EMAIL_URL"} <= secret
    assert not {name for name in secret if f"`{name}`" not in section("Keys and algorithms")}


ALGORITHMS = {
    "AESGCM": "AES-256-GCM",
    "HKDF": "HKDF-SHA-256",
    "Ed25519PrivateKey": "Ed25519",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "Ed25519",  # inside of it, in the script that checks exports
    "blake2b": "BLAKE2b",
    "salted_hmac": "HMAC-SHA-256",
    "Argon2PasswordHasher": "Argon2id",
}
CALLS = re.compile(
    r"\b(AESGCM|AESCCM|ChaCha20Poly1305|Fernet|MultiFernet|HKDF|PBKDF2HMAC|Scrypt|Ed25519PrivateKey|RSAPrivateKey"
    r"|md5|sha1|sha224|sha256|sha384|sha512|blake2[bs]|salted_hmac|Argon2PasswordHasher|ECB|CBC|CTR)\b"
)


def test_every_algorithm_in_the_code_is_in_the_inventory():
    used = {name for path in SOURCES for name in CALLS.findall(path.read_text(encoding="utf-8"))}
    assert used <= set(ALGORITHMS)
    assert all(ALGORITHMS[name] in section("Keys and algorithms") for name in used)


def test_every_table_of_the_database_has_a_level():
    told = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| `[a-z].*$", section("Data"), re.MULTILINE))))
    found = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    assert told == found | {"portal_cache"}


def test_tables_that_are_said_to_be_unused_are_empty_after_a_sign_in(agent, anonymous, vendor):
    from tests.conftest import PASSWORD

    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    with connection.cursor() as cursor:
        for table in (
            "django_session",
            "account_emailaddress",
            "account_emailconfirmation",
            "socialaccount_socialtoken",
        ):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,), table


@pytest.mark.parametrize("form", [CreateForm, NoteForm, OutcomeForm, RenameForm])
def test_every_field_that_an_agent_fills_in_has_its_rule(form):
    told = rows("What may be typed")
    for name, field in form.base_fields.items():
        if not field.widget.is_hidden and isinstance(field, forms.CharField):
            assert f"{field.max_length} characters" in told[name][0], name


def test_sizes_of_forms_are_as_documented():
    text = " ".join(section("What may be typed").split())
    assert f"Forms without a file larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024} KiB" in text
    assert f"more than {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} fields" in text
    span = f"{passwords.SHORTEST} to {passwords.LONGEST} characters of any kind"
    assert rows("What may be typed")["password"][0].startswith(span)


def test_uploads_are_as_documented():
    told = rows("What may be typed")
    assert f"{branding.MOST_BYTES // 1024} KiB and {branding.MOST_PIXELS:,} pixels" in told["logo"][0]
    assert "PNG, JPEG or WebP" in told["logo"][0]
    assert tuple(name.upper() for name in ("png", "jpeg", "webp")) == branding.FORMATS
    assert f"{imports.MOST_BYTES // 1024} KiB and {imports.MOST_LINES} people" in told["list of people"][0]


def test_sessions_and_links_last_as_documented():
    assert f"ends {settings.SESSION_COOKIE_AGE // 3600} hours after" in section("Sessions")
    ways = section("Ways in")
    minutes = LIFETIMES[OneTimeLink.Purpose.ADMINISTRATOR].total_seconds() / 60
    assert f"good for {minutes:.0f} minutes and once" in ways
    assert settings.PASSWORD_RESET_TIMEOUT == 60 * 60
    assert "good for one hour and once" in ways
    hours = {purpose: lifetime.total_seconds() / 3600 for purpose, lifetime in LIFETIMES.items()}
    assert (hours[OneTimeLink.Purpose.INVITE], hours[OneTimeLink.Purpose.RESET]) == (24, 1)
    assert "good for 24 hours or one hour, and once" in ways
    assert FRESH_SECONDS == 300


def test_every_way_in_is_documented():
    assert settings.AUTHENTICATION_BACKENDS == ["portal.accounts.backend.Backend"]
    assert settings.MFA_PASSKEY_LOGIN_ENABLED
    assert settings.MFA_WEBAUTHN_USER_VERIFICATION == "required"
    told = set(re.findall(r"`(?:manage\.py )?([a-z_]+)`", "\n".join(rows("Ways in"))))
    told |= set(re.findall(r"`(?:manage\.py )?([a-z_]+)`", section("Ways in")))
    making = {name for name, app in get_commands().items() if app == "portal.accounts"}
    making -= {"reencrypt_factors"}  # opens nothing
    making |= {"createsuperuser", "changepassword"}
    making -= {"end_sessions"}  # a way out
    assert making <= told


def test_costs_are_kept_as_documented():
    text = section("What costs much")
    assert f"{WINDOW:,} events" in text
    assert f"batches of {BATCH:,}" in text
    assert "4 places" in text


def test_logs_go_where_the_document_says():
    assert set(settings.LOGGING["handlers"]) == {"console", "reports"}
    handlers = [set(one.get("handlers", [])) for one in settings.LOGGING["loggers"].values()]
    assert not [names for names in handlers if names - {"console", "reports"}]
    assert set(rows("Logs")) >= {"audit", "application", "access"}


def test_times_for_fixing_known_weaknesses_are_stated():
    assert re.search(r"within 7\s+days.*within 30 days.*every 90 days", PROMISES, re.DOTALL)


def test_every_package_is_pinned_by_version_and_hash():
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        packages = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(packages) > 15
        for line in packages:
            assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+.*--hash=sha256:[0-9a-f]{64}", line, re.IGNORECASE), line
            assert not re.search(r"https?://|--index|git\+", line)
    assert "--require-hashes" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")
