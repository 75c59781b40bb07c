"""Requirements of OWASP ASVS that no other test is about: passwords, answers, the image, what is not there."""

from __future__ import annotations

import ast
import base64
import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from ssl import TLSVersion

import pytest
import urllib3
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, identify_hasher
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.utils import timezone

from portal import sealing
from portal.accounts import factors, seeds
from portal.accounts.models import OneTimeLink, Session, User
from tests.accounts.second_steps import by_code, by_password, give_app, give_codes
from tests.conftest import PASSWORD, Browser
from tests.portal.test_middleware import KINDS_OF_ANSWERS
from tests.test_access import EVERY
from tests.test_architecture import PUBLIC, SOURCES, imports_of, relative, sample
from tests.test_static import SCRIPTS

ROOT = Path(__file__).resolve().parent.parent
CHANGE = "/accounts/password/change/"
REAUTHENTICATE = "/accounts/reauthenticate/"


# --- passwords


@pytest.mark.parametrize(
    "password",
    [
        "only small letters with spaces and nothing else",
        "ONLYCAPITALSWITHOUTANYSPACEQZVK",
        "пароль из одних русских букв",
        "🦊🦉🐢🐝🦋🐞🐳🐙🦔🦇🐌🐛",
        "~~~!!!~~~???~~~;;;",
        " ".join(f"{number}x{number * 7919 % 1000}" for number in range(40))[:128],
        hashlib.sha512(b"some").hexdigest() + hashlib.sha512(b"more").hexdigest()[:127],
    ],
    ids=["lower", "upper", "cyrillic", "emoji", "signs", "128", "255"],
)
def test_a_password_may_be_long_and_of_any_characters(agent, browser_of, password):
    browser = browser_of(agent)
    form = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    assert browser.post(CHANGE, form).status_code == 302
    agent.refresh_from_db()
    assert agent.check_password(password)


@pytest.mark.parametrize("change", [str.upper, str.strip, lambda text: text[:-1], lambda text: text + " "])
def test_a_password_counts_exactly_as_it_was_typed(agent, anonymous, change):
    exact = " Space around and CaPiTaLs inside "
    agent.set_password(exact)
    agent.save()
    anonymous.post("/accounts/login/", {"login": "agent", "password": change(exact)})
    assert "_auth_user_id" not in anonymous.session
    anonymous.post("/accounts/login/", {"login": "agent", "password": exact})
    assert "_auth_user_id" in anonymous.session


def test_a_password_does_not_age(agent, anonymous):
    long_ago = timezone.now() - timedelta(days=3650)
    User.objects.update(date_joined=long_ago, last_login=long_ago)
    answer = anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    assert answer.headers["Location"] == "/"


def test_password_fields_hide_what_is_typed_and_let_managers_fill_them(agent, browser_of, anonymous):
    pages = [
        anonymous.get("/accounts/login/"),
        browser_of(agent).get(CHANGE),
        browser_of(agent).get(REAUTHENTICATE),
    ]
    for page in pages:
        fields = re.findall(r"<input[^>]*name=\"(?:old)?password\d?\"[^>]*>", page.content.decode())
        assert fields
        for field in fields:
            assert 'type="password"' in field
            assert re.search(r'autocomplete="(current|new)-password"', field)
            assert "readonly" not in field
            assert "maxlength" not in field
    scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    assert not re.search(r"[\"']paste[\"']|onpaste", scripts)


def test_nobody_is_asked_for_hints_or_the_name_of_a_pet(db):
    fields = {field.name for field in User._meta.get_fields()}
    assert not {name for name in fields if re.search(r"hint|question|answer|phone|birth", name)}
    for route in PUBLIC:
        asked = re.findall(r"<input[^>]*name=\"(\w+)\"", Browser().get(sample(route)).content.decode())
        assert set(asked) <= {"login", "password", "email", "next", "csrfmiddlewaretoken", "credential", "code"}, route


def test_passwords_are_hashed_with_argon2id_and_enough_memory(settings):
    settings.PASSWORD_HASHERS = ["portal.accounts.hashing.Hasher"]
    user = User(username="x")
    user.set_password(PASSWORD)
    assert user.password.startswith("argon2$argon2id$v=19$")
    assert isinstance(identify_hasher(user.password), Argon2PasswordHasher)
    found = dict(part.split("=") for part in user.password.split("$")[3].split(","))
    assert (found["t"], found["m"], found["p"]) == ("3", "65536", "4")  # the second choice of RFC 9106


# --- factors


def test_stored_factors_are_sealed_with_a_key_of_256_bits_and_a_nonce_of_their_own():
    adapter = factors.FactorAdapter()
    sealed = [base64.urlsafe_b64decode(adapter.encrypt("seed")) for _ in range(50)]
    assert len({each[: sealing.NONCE] for each in sealed}) == 50
    assert set(map(len, seeds.keys())) == {32}


def test_a_sealed_factor_that_was_changed_anywhere_is_refused():
    adapter = factors.FactorAdapter()
    sealed = bytearray(base64.urlsafe_b64decode(adapter.encrypt("seed")))
    for place in range(len(sealed)):
        changed = bytes(sealed[:place]) + bytes([sealed[place] ^ 1]) + bytes(sealed[place + 1 :])
        with pytest.raises(ValidationError):
            adapter.decrypt(base64.urlsafe_b64encode(changed).decode())


def test_names_of_sessions_have_more_than_128_bits(agent, browser_of):
    for _ in range(3):
        browser_of(agent)
    keys = set(Session.objects.values_list("session_key", flat=True))
    assert len(keys) == 3
    assert all(re.fullmatch(r"[a-z0-9]{32}", key) for key in keys)  # 36 characters: 5.17 bits each


def test_a_confirmation_changes_the_session_and_the_old_one_is_dead(agent, vendor):
    with_password, with_code = by_password(agent), None
    give_app(agent)
    with_code = by_code(agent, steps=0)
    for browser, path, form in (
        (with_code, "/accounts/reauthenticate/", {"password": PASSWORD}),
        (with_password, "/accounts/reauthenticate/code/", {"code": give_codes(agent)[0]}),
    ):
        before = browser.cookies["__Host-sessionid"].value
        assert browser.post(path, form).status_code == 302
        assert browser.cookies["__Host-sessionid"].value != before
        assert not Session.objects.filter(session_key=before).exists()
        assert browser.get("/").status_code == 200


def test_seeds_and_codes_are_long_and_differ(agent, colleague):
    seeds = {generate_totp_secret() for _ in range(100)} | {RecoveryCodes.generate_seed() for _ in range(100)}
    assert len(seeds) == 200
    assert min(map(len, seeds)) >= 32  # of base 32: 160 bits
    codes = give_codes(agent) + give_codes(colleague)
    assert len(set(codes)) == 20
    assert all(re.fullmatch(r"[0-9]{10}", code) for code in codes)  # 33 bits each, limited tries


# --- tokens that say for themselves what they are for


@pytest.fixture
def reset_link(agent, mailoutbox):
    Browser().post("/accounts/password/reset/", {"email": agent.email})
    return re.search(r"https://testserver(/\S+)", mailoutbox[0].body)[1]


def leads_to_a_form(link: str) -> bool:
    return Browser().get(link).status_code == 302


def test_a_reset_link_is_good_for_its_hour_only(reset_link, settings, monkeypatch):
    now = datetime.now()
    ages = {}
    for minutes in (59, 61):
        at = now + timedelta(minutes=minutes)
        monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda self, at=at: at)
        ages[minutes] = leads_to_a_form(reset_link)
    assert ages == {59: True, 61: False}


def test_a_reset_link_that_was_changed_or_is_somebody_else_s_or_of_another_portal_opens_nothing(
    reset_link, colleague, settings
):
    person, token = re.search(r"key/(\w+)-([\w-]+)/", reset_link).groups()
    time, mac = token.split("-")
    others = [
        reset_link.replace(mac, mac[:-1] + ("a" if mac[-1] != "a" else "b")),
        reset_link.replace(f"/{person}-", f"/{user_pk_to_url_str(colleague)}-"),
        reset_link.replace(f"-{time}-", f"-{time[:-1]}{'y' if time[-1] == 'z' else 'z'}-"),
        reset_link.replace(token, "-"),
    ]
    assert not [link for link in others if leads_to_a_form(link)]
    assert leads_to_a_form(reset_link)
    settings.SECRET_KEY = "the key of another portal, long enough for anybody 0123456789"
    assert not leads_to_a_form(reset_link)


def test_a_link_for_one_purpose_opens_no_other_page(agent):
    for purpose in set(OneTimeLink.Purpose) - {OneTimeLink.Purpose.ADMINISTRATOR}:
        token = OneTimeLink.objects.issue(purpose, agent)
        assert Browser().get(f"/accounts/enrol/{token}/").status_code == 410


@pytest.mark.parametrize("more", ["\r\nBcc: evil@example.org", "\nSubject: x", ", evil@example.org", "%0aCc: x@y.z"])
def test_nobody_adds_lines_or_recipients_to_a_mail(agent, anonymous, mailoutbox, more):
    anonymous.post("/accounts/password/reset/", {"email": agent.email + more})
    assert not mailoutbox


# --- answers


@pytest.mark.parametrize("kind", KINDS_OF_ANSWERS)
def test_every_answer_that_is_text_names_its_encoding(request, vendor, db, browser_of, anonymous, kind):
    who, method, path, _ = KINDS_OF_ANSWERS[kind]
    browser = browser_of(request.getfixturevalue(who)) if who else anonymous
    answer = getattr(browser, method)(path)
    answer.close()
    found = answer.headers["Content-Type"]
    assert found == "application/json" or re.search(r'charset="?utf-8"?$', found)


def test_drawings_name_their_encoding(anonymous, db):
    answer = anonymous.get("/static/icons.svg")
    answer.close()
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/board/rows/", "/accounts/login/", "/healthz", "/static/icons.svg"])
def test_no_other_origin_may_read_an_answer(agent, browser_of, vendor, path):
    for method in ("get", "options"):
        answer = getattr(browser_of(agent), method)(path, headers={"origin": "https://evil.example"})
        answer.close()
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_nothing_is_read_back_by_trace(agent, browser_of, vendor):
    answer = browser_of(agent).trace("/", headers={"x-secret": "tell me back"})
    assert answer.status_code == 405
    assert b"tell me back" not in answer.content


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_pages_take_get_head_and_post_alone(admin, browser_of, vendor, anonymous, method):
    for route in EVERY:
        answer = getattr(browser_of(admin), method)(sample(route))
        assert answer.status_code == 405, route
    for route in PUBLIC:
        assert getattr(anonymous, method)(sample(route)).status_code == 405, route
    assert not vendor.ledger.requests


def test_folders_of_static_files_are_not_listed(anonymous, db):
    for path in ("/static/", "/static/js/", "/static/css", "/static/vendor/", "/static/admin/"):
        assert anonymous.get(path).status_code == 404


def test_what_stands_in_the_address_fills_no_form(agent, browser_of, vendor):
    browser = browser_of(agent)
    made = browser.post("/invitations/new/?client_name=Address&ticket=Address", {"client_name": "Form"})
    assert made.status_code == 302
    (create,) = [each for each in vendor.ledger.requests if each.operation == "create"]
    assert "Address" not in str(create)


def test_every_page_behind_the_sign_in_has_the_way_out(admin, browser_of, vendor):
    browser = browser_of(admin)
    for path in (
        "/",
        "/history/",
        "/invitations/new/",
        "/audit/",
        "/audit/export/",
        "/accounts/security/",
        CHANGE,
        REAUTHENTICATE,
    ):
        assert re.search(r'(action|href)="/accounts/logout/"', browser.get(path).content.decode()), path
    assert "/logout/" in browser.get("/admin/").content.decode()


def test_connections_of_ours_speak_tls_1_2_or_later():
    assert urllib3.util.ssl_.create_urllib3_context().minimum_version >= TLSVersion.TLSv1_2


# --- what is not there

ABSENT = {
    "pickle", "marshal", "shelve", "dill", "yaml", "xml", "lxml", "ldap", "ldap3", "jinja2", "mako", "memcache",
    "pymemcache", "ctypes", "cffi", "imp", "graphene", "channels", "websockets", "markdown", "zipimport",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_sources_use_nothing_that_runs_or_revives_what_it_reads(path):
    assert not {name.split(".")[0] for name in imports_of(path)} & ABSENT
    text = path.read_text(encoding="utf-8") if "simulator" not in path.parts else ""
    assert not re.search(r"\bos\.(?:system|popen|exec\w+)\(|shell=True|\b__import__\(|\bTemplate\(|from_string\(", text)


def test_programs_are_started_with_a_list_of_our_own_words():
    starting = {relative(path) for path in SOURCES if calls_in(path, r"subprocess\.\w+")}
    assert starting == {
        *("portal/aside.py", "invitations/demo.py", "portal/backups/programs.py"),
    }
    for path in SOURCES:
        for call in calls_in(path, r"subprocess\.\w+"):
            assert not isinstance(call.args[0], ast.JoinedStr | ast.Constant)


def test_random_values_that_guard_something_come_from_the_system():
    spreading = {"portal/audit/appending.py", "portal/audit/forwarding.py", "portal/getscreen/transport.py"}
    spreading |= {"portal/getscreen/breaker.py"}
    spreading |= {f"invitations/{name}.py" for name in ("sync", "expiry", "rhythm")}
    using = {relative(path) for path in SOURCES if "random" in imports_of(path) and "simulator" not in path.parts}
    assert using <= spreading
    for path in SOURCES:
        for size in re.findall(r"secrets\.token_(?:hex|urlsafe|bytes)\((\d+)\)", path.read_text(encoding="utf-8")):
            # Fewer name a request, the tenant of a lease and a place in a rendered text; 9 a demo's invented people.
            small = ("portal/middleware.py", "portal/templatetags/viewer.py", "portal/audit/forwarding.py")
            assert int(size) >= 16 or relative(path) in (*small, "invitations/demo.py")


def calls_in(path: Path, what: str) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.Call) and re.fullmatch(what, ast.unparse(node.func))]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_pattern_is_made_of_what_somebody_typed(path):
    for call in calls_in(path, r"re\.(?:compile|match|search|sub|fullmatch|split|findall)"):
        filled = [node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.FormattedValue)]
        assert isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        assert all(ast.unparse(value).isupper() for value in filled)  # constants


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_compare_strictly_and_touch_no_prototype(path):
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    assert not re.search(r"[^=!<>]==[^=]|!=[^=]", text)
    assert not re.search(r"__proto__|\.constructor\b|\.prototype\.\w+\s*=|Object\.assign\(\{", text)
    assert not re.search(r"addEventListener\([\"']message[\"']|jsonp|document\.domain", text)


# --- the image


def test_the_image_holds_the_product_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "**"
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert kept == {"manage.py", "requirements.txt", "portal", "invitations", "templates", "locale", "static"}
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(copied) == kept


def test_the_image_runs_as_nobody_in_particular():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = text.split("\nFROM ")[-1]
    assert re.search(r"^USER 10001:0$", last, re.MULTILINE)
    assert not re.search(r"RUN |sudo|chmod 777|ADD ", last)
    assert "--read-only" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in re.findall(r"([A-Z_]+)=", last) if re.search(r"SECRET|PASSWORD|API_KEY", name)]


def test_debugging_and_development_are_no_parts_of_the_product():
    installed = set(settings.INSTALLED_APPS)
    assert not {name for name in installed if re.search(r"debug|silk|extensions|browsable|admindocs|test", name)}
    runtime = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^(pytest|hypothesis|mypy|ruff|django-debug|ipdb|oidc-provider)", runtime, re.MULTILINE)
