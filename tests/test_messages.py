"""German on the pages of signing in: complete, well formed, only there, and asked for by the browser alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from gettext import NullTranslations

import pytest
from allauth.mfa.webauthn.internal import auth as webauthn
from django.core import mail
from django.db import OperationalError, connection, transaction
from django.urls import get_resolver, reverse
from django.utils import timezone, translation
from django.utils.translation import trans_real

from invitations.models import Invitation, Policy, Snapshot, Status
from portal.accounts import factors
from portal.accounts.models import OneTimeLink, Tally, User
from portal.audit.models import Event
from tests import messages
from tests.accounts.second_steps import CODE, LOGIN, SECURITY, by_password, code, give_app, give_codes
from tests.audit.test_unwritable import BREAK
from tests.conftest import PASSWORD, Browser, whole_log

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.8"}
# allauth says "du". Ours says "Sie".
FAMILIAR = re.compile(r"\b(?:du|dich|dir|dein(?:e[mnrs]?)?)\b", re.IGNORECASE)
NAME, PLACE = re.compile(r"%\(\w+\)[sd]"), re.compile(r"{}|</?b>")
FORMS = {  # what goes wrong in each form, for the texts of its errors
    LOGIN: ({}, {"login": "nobody", "password": "x"}),
    "/accounts/password/reset/": ({}, {"email": "no address"}),
}


class German(Browser):
    """A browser that asks for German pages, and for nothing else."""

    def __init__(self, **more: object) -> None:
        super().__init__(headers={"user-agent": "test", **GERMAN}, **more)


class Missing(NullTranslations):
    """Asked by the German catalogue for what it does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def gettext(self, message: str) -> str:
        self.texts.add(message)
        return message

    def ngettext(self, one: str, many: str, number: int) -> str:
        self.texts.add(one)
        return one if number == 1 else many


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Missing]:
    """All that pages of this test want in German, and nobody has translated."""
    found = Missing()
    _ = get_resolver().url_patterns  # what modules ask for when they are loaded is no page
    monkeypatch.setattr(trans_real.translation("de"), "_fallback", found)
    yield found
    assert found.texts == set(), "run `make messages`, or name them in tests/messages.py as borrowed"


def looked_at(answer, status=200):
    """Return the page after the checks that hold for each."""
    page = answer.content.decode()
    assert answer.status_code == status, page
    assert answer.headers["Content-Language"] == "de"
    assert "Accept-Language" in answer.headers["Vary"]
    assert '<html lang="de"' in page
    assert not FAMILIAR.findall(re.sub(r"<[^>]+>", " ", page))
    return page


# --- The files --------------------------------------------------------------------------------------


def test_the_catalogue_has_every_text_and_no_other() -> None:
    found = messages.read(messages.PO.read_text(encoding="utf-8"))
    assert set(found) == messages.texts(), "run `make messages`"
    assert [text.singular for text, values in found.items() if not all(values)] == []


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    source = messages.PO.read_text(encoding="utf-8")
    found = messages.read(source)
    assert messages.written(found) == source
    assert messages.compiled(found) == messages.MO.read_bytes(), "run `make messages`"


def test_translations_keep_what_is_put_into_them() -> None:
    for text, values in messages.read(messages.PO.read_text(encoding="utf-8")).items():
        for original, german in zip(filter(None, text), values, strict=True):
            assert set(NAME.findall(german)) == set(NAME.findall(original)), original
            assert sorted(PLACE.findall(german)) == sorted(PLACE.findall(original)), original
            assert (original[-1] in ".:") == (german[-1] in ".:"), original
            assert not FAMILIAR.search(german), german
            assert '"' not in german


def test_a_text_nobody_has_translated_yet_is_told(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(messages, "PO", tmp_path / "de" / "django.po")
    monkeypatch.setattr(messages, "MO", tmp_path / "de" / "django.mo")
    wanted = {messages.Text("Sign in"), messages.Text("%(count)s code", "%(count)s codes")}
    monkeypatch.setattr(messages, "texts", lambda: wanted)
    assert messages.main() == 1
    assert "Sign in" in capsys.readouterr().err
    done = messages.PO.read_text().replace('msgstr ""\n\nmsgid "Sign in"', "").replace('msgstr ""\n', 'msgstr "x"\n')
    assert set(messages.read(done)) <= wanted
    monkeypatch.setattr(messages, "texts", set)
    assert messages.main() == 0


# --- The pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [LOGIN, "inactive", "password/reset", "password/reset/done", "password/reset/key/1-x", "password/reset/key/done"],
)
def test_pages_before_the_sign_in(path, missing, db) -> None:
    looked_at(German().get(path if path.startswith("/") else f"/accounts/{path}/"))


def test_where_no_mails_are_sent(missing, db, settings) -> None:
    settings.MAILERS = {}
    assert "Administration" in looked_at(German().get("/accounts/password/reset/"))


@pytest.mark.parametrize("path", FORMS)
def test_what_forms_say_to_strangers(path, missing, db) -> None:
    for typed in FORMS[path]:
        answer = German().post(path, typed)
        assert "field-error" in looked_at(answer, answer.status_code) or "banner" in answer.content.decode()


def test_too_many_tries(missing, agent) -> None:
    browser = German()
    for _ in range(6):
        page = looked_at(browser.post(LOGIN, {"login": "agent", "password": "wrong"}))
    assert "Zu viele Fehlversuche" in page
    limits = [browser.post("/accounts/password/reset/", {"email": "agent@example.org"}) for _ in range(4)]
    assert "Zu viele Versuche" in looked_at(limits[-1], 429)


def test_errors_below_the_translated_pages(missing, agent, browser_of, vendor) -> None:
    for browser in (German(), signed_in(agent)):
        assert "nichts" in looked_at(browser.get("/accounts/nowhere/"), 404)
    strict = German(enforce_csrf_checks=True)
    assert "Formular" in looked_at(strict.post(LOGIN, {"login": "agent"}), 403)


def test_a_log_that_cannot_be_written(missing, agent) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in BREAK["trigger"]:
            cursor.execute(statement)
        page = looked_at(German().post(LOGIN, {"login": "agent", "password": PASSWORD}), 503)
    assert "Audit-Log" in page


@pytest.mark.parametrize(
    ("purpose", "name", "typed"),
    [
        (OneTimeLink.Purpose.INVITE, "choose_password", {"new_password1": "12345", "new_password2": "agent"}),
        (OneTimeLink.Purpose.ADMINISTRATOR, "enrol", {"username": "agent", "password1": "1", "password2": "agent"}),
    ],
)
def test_pages_behind_links(purpose, name, typed, missing, agent) -> None:
    user = agent if purpose == OneTimeLink.Purpose.INVITE else None
    path = reverse(name, args=[OneTimeLink.objects.issue(purpose, user=user)])
    looked_at(German().get(path))
    for wrong in ({}, typed, dict.fromkeys(typed, "agent"), dict.fromkeys(typed, "1234567890123")):
        looked_at(German().post(path, wrong | {"email": "agent@example.org"}), 422)
    assert "gilt nicht mehr" in looked_at(German().get(reverse(name, args=["none"])), 410)
    right = {key: "agent2" if key == "username" else PASSWORD for key in typed}
    answer = German().post(path, right | {"email": "agent2@example.org"}, follow=True)
    assert "Melden Sie sich" in looked_at(answer)


def test_a_password_reset_and_its_mail(missing, agent) -> None:
    browser = German()
    looked_at(browser.post("/accounts/password/reset/", {"email": "agent@example.org"}, follow=True))
    (sent,) = mail.outbox
    assert sent.subject == "Neues Passwort für Helpdesk festlegen"
    assert "Ihr Benutzername ist agent." in sent.body
    path = re.search(r"/accounts/password/reset/key/\S+", sent.body)[0]
    answer = browser.get(path, follow=True)
    looked_at(answer)
    form = answer.redirect_chain[-1][0]
    for wrong in ({}, {"password1": "12345", "password2": "agent"}, {"password1": "agent", "password2": "agent"}):
        looked_at(browser.post(form, wrong))
    assert "geändert" in looked_at(browser.post(form, {"password1": PASSWORD, "password2": PASSWORD}, follow=True))


def signed_in(user: User) -> German:
    browser = German()
    browser.force_login(user)
    return browser


@pytest.mark.parametrize("person", ["agent", "auditor", "admin"])
def test_pages_of_ones_own_account(person, missing, request, vendor, look) -> None:
    browser = signed_in(request.getfixturevalue(person))
    for path in ("security", "password/change", "logout", "reauthenticate"):
        looked_at(browser.get(f"/accounts/{path}/"))
    look()
    assert "Tarif" in looked_at(browser.get(SECURITY))
    vendor.fail("list", "status_502", times=None)
    look()
    looked_at(browser.get(SECURITY))


def test_changing_the_password(missing, agent, vendor) -> None:
    browser = signed_in(agent)
    form = "/accounts/password/change/"
    wrong = ({}, {"oldpassword": "x", "password1": "12345", "password2": "y"}, dict.fromkeys(("password1",), "agent"))
    for typed in wrong:
        looked_at(browser.post(form, typed))
    right = {"oldpassword": PASSWORD, "password1": PASSWORD + "!", "password2": PASSWORD + "!"}
    page = browser.post(form, right, follow=True).content.decode()
    assert "Your password is changed." in page, "the board is English"
    assert '<html lang="en"' in page


def test_setting_up_a_second_factor(missing, agent, settings, vendor, django_capture_on_commit_callbacks) -> None:
    settings.REQUIRE_MFA = "everyone"
    browser = signed_in(agent)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "Zweiten Faktor einrichten" in looked_at(browser.get(SECURITY))
    looked_at(browser.get(f"{SECURITY}passkeys/add/"))
    looked_at(browser.post(f"{SECURITY}passkeys/add/", {"credential": "{}"}))
    page = looked_at(browser.get(f"{SECURITY}app/"))
    looked_at(browser.post(f"{SECURITY}app/", {"code": "1"}))
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
    # What is done on commit happens inside the request, elsewhere than in a test's one transaction.
    with translation.override("de"), django_capture_on_commit_callbacks(execute=True):
        page = looked_at(browser.post(f"{SECURITY}app/", {"code": code(secret)}, follow=True))
    assert "Bewahren Sie diese Codes" in page
    assert mail.outbox[0].subject == "Ihre Anmeldung wurde geändert"
    assert "Authenticator-App" in mail.outbox[0].body
    for path in ("codes/", "codes/new/", "app/", "app/remove/", ""):
        looked_at(browser.get(f"{SECURITY}{path}"))
    looked_at(browser.post(f"{SECURITY}app/remove/"))
    settings.REQUIRE_MFA = "off"
    looked_at(browser.get(f"{SECURITY}app/remove/"))
    looked_at(browser.post(f"{SECURITY}app/remove/", follow=True))


def test_pages_of_a_passkey(missing, agent, vendor, monkeypatch) -> None:
    passkey = factors.Authenticator.objects.create(
        user=agent, type=factors.Type.WEBAUTHN, data={"name": "Notebook", "credential": {}}
    )
    monkeypatch.setattr(webauthn, "get_credentials", lambda user: [])
    browser = signed_in(agent)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "webauthn", "at": time.time()}]
    session["account_authentication_methods_user"] = str(agent.pk)
    session.save()
    for path in ("", f"passkeys/{passkey.pk}/rename/", f"passkeys/{passkey.pk}/remove/"):
        looked_at(browser.get(f"{SECURITY}{path}"))
    looked_at(browser.post(f"{SECURITY}passkeys/{passkey.pk}/rename/", {"name": ""}))


def test_showing_a_second_factor(missing, agent, vendor) -> None:
    give_app(agent)
    give_codes(agent)
    browser = German()
    browser.post(LOGIN, {"login": "agent", "password": PASSWORD})
    looked_at(browser.get(CODE))
    for _ in range(6):
        looked_at(browser.post(CODE, {"code": "1"}), 422)
    confirming = signed_in(agent)
    looked_at(confirming.get("/accounts/reauthenticate/code/"))
    looked_at(confirming.post("/accounts/reauthenticate/code/", {"code": "x"}))


def test_a_confirmation_before_connect(missing, agent, vendor) -> None:
    browser = signed_in(agent)
    session = browser.session
    session[factors.WANTED_FOR_CONNECT] = "/"
    session.save()
    for path in ("security", "reauthenticate"):
        assert "Bevor Sie sich verbinden" in looked_at(browser.get(f"/accounts/{path}/?next=/"))
    answer = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/"}, follow=True)
    assert "Confirmed. Press Connect again." in answer.content.decode(), "the board is English"


def test_the_pages_of_clients(missing, agent, vendor) -> None:
    Snapshot.load()
    code, link = "417902365", "https://go.getscreen.me/invite/417902365"
    fields = {"vendor_id": 1, "code": code, "invite_url": link, "created_by": agent}
    invitation = Invitation.objects.create(account="", **fields)
    browser, here = German(), f"/join/{code}"
    looked_at(browser.get("/join/"))
    looked_at(browser.get("/join/123456789"), 404)
    for typed in ("", "x", "1", "12"):
        looked_at(browser.post("/join/", {"code": typed}), 422)
    for recording in Policy.Recording.values:
        for name in ("none", "first"):
            Policy.objects.update_or_create(pk=1, defaults={"recording": recording, "supporter_name": name})
            looked_at(browser.get(here))
    over = {"closed_at": timezone.now(), "status": Status.CLOSED}
    for changes, status in (
        ({"invite_url": ""}, 502),
        ({"status": Status.JOINED}, 409),
        (over, 410),
        (over | {"expired_at": timezone.now()}, 410),
    ):
        Invitation.objects.filter(pk=invitation.pk).update(**changes)
        looked_at(browser.get(here), status)
    Tally.objects.update(count=1000)
    looked_at(browser.get(here), 429)
    with connection.execute_wrapper(lost):
        looked_at(browser.get(here), 503)


def lost(*_: object) -> None:
    raise OperationalError


# --- Only there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/board/rows/", "/board/waiting/", "/history/", "/admin/", "/nowhere/"])
def test_all_other_pages_are_english_for_everybody(path, admin, vendor, look) -> None:
    look()
    answer = signed_in(admin).get(path)
    assert answer.headers["Content-Language"] == "en"
    assert "Accept-Language" not in answer.headers.get("Vary", "")
    assert 'lang="de"' not in answer.content.decode()


def test_polls_are_one_rendering_whatever_browsers_ask_for(agent, browser_of, look) -> None:
    look()
    answers = [browser.get("/board/rows/") for browser in (signed_in(agent), browser_of(agent))]
    assert answers[0].headers["HX-PTag"] == answers[1].headers["HX-PTag"]


def test_somebody_without_a_role_reads_so_in_german_wherever_they_are(outsider, missing) -> None:
    assert "noch keine Rolle" in looked_at(signed_in(outsider).get("/"), 403)


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-ch", "de"),
        ("fr, de;q=0.5, en;q=0.4", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("de;q=0", "en"),
        ("*, de;q=0.1", "en"),
        ("fr", "en"),
        ("x" * 5000, "en"),
        ("de" + ",de" * 5000, "de"),
        ("../../etc/passwd, \x00, de_DE", "en"),
    ],
)
def test_the_browser_alone_chooses(asked, language, anonymous, db) -> None:
    anonymous.cookies["django_language"] = "de" if language == "en" else "en"
    answer = anonymous.get(LOGIN, headers={"accept-language": asked})
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}"' in answer.content.decode()
    assert "django_language" not in answer.cookies


def test_the_thread_keeps_its_own_language(db) -> None:
    with translation.override("fr"):
        German().get(LOGIN)
        German().get("/")
        assert translation.get_language() == "fr"


def test_the_log_is_english(agent, vendor) -> None:
    give_app(agent)
    browser = German()
    browser.post(LOGIN, {"login": "agent", "password": "wrong"})
    browser.post(LOGIN, {"login": "agent", "password": PASSWORD})
    browser.post(CODE, {"code": code()})
    browser.post("/accounts/logout/")
    told = whole_log()
    assert Event.objects.count() >= 3
    assert by_password(agent)
    assert not re.search(r"Passwort|Anmeld|Faktor|Schlüssel", told)
