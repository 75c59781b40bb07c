"""Second factors: setting up, signing in, once and in time, changing, and what the database and the log keep."""

from __future__ import annotations

import json
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.db import connection

from portal.accounts import factors, seeds
from portal.accounts.models import Session
from portal.audit.models import Event
from tests.accounts.second_steps import (
    CODE,
    LOGIN,
    SECURITY,
    SEED,
    by_code,
    by_password,
    code,
    give_app,
    give_codes,
    show,
)
from tests.audit.test_unwritable import BREAK
from tests.conftest import PASSWORD, Browser, whole_log

APP, CODES = f"{SECURITY}app/", f"{SECURITY}codes/"


@pytest.fixture(autouse=True)
def still_clock(monkeypatch):
    """A code must not run out in the middle of a test: the first second of a step. Returns how to move it."""
    start = time.time() // 30 * 30 + 1
    monkeypatch.setattr(time, "time", lambda: start)
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: start + seconds)


def told(*kinds):
    return [(event.kind, event.facts) for event in Event.objects.filter(kind__in=kinds).order_by("seq")]


def is_in(browser):
    return "_auth_user_id" in browser.session


def set_up(browser):
    page = browser.get(APP).content.decode()
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
    return secret, browser.post(APP, {"code": code(secret)})


def test_an_app_is_set_up_right_after_the_sign_in(agent, settings, vendor, django_capture_on_commit_callbacks):
    settings.REQUIRE_MFA = "everyone"
    elsewhere, browser = by_password(agent), by_password(agent)
    assert browser.get("/").headers["Location"] == f"{SECURITY}?next=%2F"
    assert "Set up your second step" in browser.get(SECURITY).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        secret, answer = set_up(browser)
    assert answer.headers["Location"] == CODES
    assert browser.get("/").status_code == 200
    assert elsewhere.get("/").headers["Location"].startswith(LOGIN)
    assert [kind for kind, _ in told("factor.added", "factor.recovery_codes", "session.ended")] == [
        "factor.added",
        "factor.recovery_codes",
        "session.ended",
    ]
    (sent,) = mail.outbox
    assert sent.to == ["agent@example.org"]
    assert secret not in sent.body
    assert "authenticator app was added" in sent.body


def test_the_picture_for_the_app_is_that_of_the_session(agent, browser_of):
    browser = by_password(agent)
    assert browser.get(f"{APP}qr/").status_code == 404
    browser.get(APP)
    picture = browser.get(f"{APP}qr/")
    assert picture.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert b"<svg" in picture.content
    assert b"style=" not in picture.content


def test_recovery_codes_are_shown_once(agent):
    browser = by_password(agent)
    set_up(browser)
    page = browser.get(CODES).content.decode()
    first = re.findall(r"<li><code>(\d{5} \d{5})</code></li>", page)
    assert 'class="toast"' not in page, "a notice would lie over the buttons"
    assert len(set(first)) == 10
    assert not re.search(r"\d{5} \d{5}", browser.get(CODES).content.decode())


def test_a_sign_in_takes_both_steps(agent):
    give_app(agent)
    browser = by_password(agent)
    assert not is_in(browser)
    assert browser.get("/").status_code == 302
    assert "Enter the code" in browser.get(CODE).content.decode()
    assert show(browser, code()).headers["Location"] == "/"
    assert is_in(browser)
    assert told("signin.ok") == [("signin.ok", {"methods": ["password", "totp"]})]


@pytest.mark.parametrize("typed", ["{0}", "{1} {2}", " {0} ", "{1}-{2}"])
def test_a_code_works_once_however_it_is_typed(agent, typed):
    give_app(agent)
    by_code(agent)
    now = code()
    again = show(by_password(agent), typed.format(now, now[:3], now[3:]))
    assert again.status_code == 422
    assert "only once" in again.content.decode()
    assert told("signin.factor_failed")


def test_the_code_that_set_up_the_app_is_used_up(agent):
    browser = by_password(agent)
    secret, _ = set_up(browser)
    assert show(by_password(agent), code(secret)).status_code == 422


@pytest.mark.parametrize("steps", [-2, -1, 1])
def test_a_code_of_another_half_minute_is_refused(agent, steps):
    give_app(agent)
    assert show(by_password(agent), code(steps=steps)).status_code == 422


def test_a_code_is_used_up_until_its_half_minute_is_over(agent, still_clock):
    give_app(agent)
    used = code()
    by_code(agent)
    still_clock(28)
    assert show(by_password(agent), used).status_code == 422
    still_clock(29)
    assert show(by_password(agent), used).status_code == 422
    still_clock(31)
    assert show(by_password(agent), code()).status_code == 302


def test_wrong_codes_are_limited_and_cost_the_password_first(agent):
    give_app(agent)
    browser = by_password(agent)
    wrong = f"{(int(code()) + 1) % 1_000_000:06}"
    for _ in range(5):
        assert show(browser, wrong).status_code == 422
    assert show(browser, code()).status_code == 422, "the sixth is not looked at"
    assert len(told("signin.factor_failed")) == 5
    assert show(Browser(), code()).headers["Location"] == LOGIN, "who has no password cannot even try"


def test_a_recovery_code_works_once(agent):
    give_app(agent)
    codes = give_codes(agent)
    browser = by_password(agent)
    assert show(browser, f"{codes[0][:5]} {codes[0][5:]}").status_code == 302
    assert told("signin.ok")[-1][1] == {"methods": ["password", "recovery_code"]}
    assert "9 codes are left" in browser.get(SECURITY).content.decode()
    assert show(by_password(agent), codes[0]).status_code == 422


def test_the_last_factor_stays_where_one_is_demanded(agent, settings):
    app = give_app(agent)
    browser = by_code(agent)
    settings.REQUIRE_MFA = "everyone"
    assert "cannot be removed" in browser.get(SECURITY).content.decode()
    assert b"your only one" in browser.get(f"{APP}remove/").content
    browser.post(f"{APP}remove/")
    assert Authenticator.objects.get(type="totp") == app
    settings.REQUIRE_MFA = "off"
    assert browser.post(f"{APP}remove/").headers["Location"] == SECURITY
    assert not Authenticator.objects.exists()
    assert told("factor.removed") == [("factor.removed", {"type": "authenticator app"})]


def test_the_last_factor_can_be_replaced(agent, settings, still_clock):
    settings.REQUIRE_MFA = "everyone"
    give_app(agent)
    browser = by_code(agent)
    secret, answer = set_up(browser)
    assert answer.status_code == 302
    assert secret != SEED
    still_clock(31)
    assert show(by_password(agent), code()).status_code == 422
    assert show(by_password(agent), code(secret)).status_code == 302


@pytest.mark.parametrize("path", [APP, f"{APP}remove/", f"{SECURITY}passkeys/add/", f"{CODES}new/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_change_needs_a_confirmation_of_a_moment_ago(agent, still_clock, path, method):
    give_app(agent)
    give_codes(agent)
    browser = by_code(agent)
    still_clock(factors.FRESH_SECONDS + 1)
    answer = getattr(browser, method)(path)
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    page = browser.get(answer.headers["Location"]).content.decode()
    assert "Use a code" in page


def test_new_codes_replace_the_old_ones_and_end_other_sessions(agent, still_clock):
    give_app(agent)
    old = give_codes(agent)
    by_code(agent)
    still_clock(30)
    browser = by_code(agent)
    assert browser.post(f"{CODES}new/").headers["Location"] == CODES
    assert browser.get(CODES).status_code == 200
    assert Session.objects.filter(user=agent).count() == 1
    assert show(by_password(agent), old[0]).status_code == 422
    assert told("factor.recovery_codes") == [("factor.recovery_codes", {})]


def test_the_database_does_not_reveal_seeds(agent, settings):
    app = give_app(agent)
    codes = give_codes(agent)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert SEED not in stored
    assert not [each for each in codes if each in stored]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key for tests, long enough for anybody 0123456789"
    by_code(agent)
    settings.SECRET_KEY_FALLBACKS = []
    app.refresh_from_db()
    refused = show(by_password(agent), code(steps=0))
    assert refused.status_code == 422
    assert "was changed" in refused.content.decode()
    assert SEED not in whole_log()


def test_a_reset_password_leaves_the_second_step(agent, django_capture_on_commit_callbacks):
    give_app(agent)
    browser = Browser()
    browser.post("/accounts/password/reset/", {"email": agent.email})
    link = re.search(r"https://testserver(/\S+)", mail.outbox[0].body)[1]
    form = browser.get(link).headers["Location"]
    new = "another long and quiet passphrase"
    browser.post(form, {"password1": new, "password2": new})
    assert not is_in(browser)
    browser = by_password(agent, new)
    assert not is_in(browser)
    assert show(browser, code()).status_code == 302


def test_an_administrators_reset_takes_every_factor_and_session(agent, admin):
    give_app(agent)
    give_codes(agent)
    browser = by_code(agent)
    assert factors.reset(agent, by=admin) == 2
    assert browser.get("/").headers["Location"].startswith(LOGIN)
    assert [facts["type"] for _, facts in told("factor.removed")] == ["authenticator app", "recovery codes"]


ODD = ["", "{}", "[]", "null", "1", '"x"', '{"response": {}}', '{"response": {"clientDataJSON": "e30"}}', "{"]
FULL = {"id": "AA", "rawId": "AA", "type": "public-key"}
FOREIGN = {"clientDataJSON": "eyJvcmlnaW4iOiAiaHR0cHM6Ly9ldmlsLmV4YW1wbGUifQ", "authenticatorData": "AA"}
ODD.append(json.dumps(FULL | {"response": FOREIGN | {"signature": "AA", "userHandle": None}}))
OURS = {"clientDataJSON": "eyJvcmlnaW4iOiAiaHR0cHM6Ly90ZXN0c2VydmVyIn0", "authenticatorData": "AA"}
ODD.append(json.dumps(FULL | {"response": OURS | {"signature": "AA", "userHandle": None}}))
ODD.append(json.dumps(FULL | {"response": OURS}))


@pytest.mark.parametrize("credential", ODD)
def test_an_answer_that_no_passkey_gave_is_refused(agent, credential):
    anonymous = Browser()
    anonymous.get(f"{LOGIN}passkey/", headers={"X-Requested-With": "XMLHttpRequest"})
    assert anonymous.post(f"{LOGIN}passkey/", {"credential": credential}).headers["Location"] == LOGIN
    assert not is_in(anonymous)
    browser = by_password(agent)
    browser.get(f"{SECURITY}passkeys/add/")
    assert browser.post(f"{SECURITY}passkeys/add/", {"credential": credential}).status_code == 200
    assert not Authenticator.objects.exists()


def test_a_password_that_is_wrong_for_the_confirmation_changes_nothing(agent, still_clock):
    browser = by_password(agent)
    still_clock(factors.FRESH_SECONDS + 1)
    where = browser.get(APP).headers["Location"]
    assert browser.post(where, {"password": "wrong"}).status_code == 200
    assert browser.get(APP).status_code == 302
    assert browser.post(where, {"password": PASSWORD}).headers["Location"] == APP
    assert browser.get(APP).status_code == 200


def test_without_the_log_nobody_gets_in_and_the_code_is_not_used_up(agent):
    give_app(agent)
    browser = by_password(agent)
    with connection.cursor() as cursor:
        for statement in BREAK["trigger"]:
            cursor.execute(statement)
    answer = show(browser, code())
    assert answer.status_code == 503
    assert not is_in(browser)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER zz ON audit_event" if connection.vendor == "postgresql" else "DROP TRIGGER zz")
    assert show(browser, code()).status_code == 302


def test_without_the_log_no_factor_is_added(agent):
    browser = by_password(agent)
    browser.get(APP)
    with connection.cursor() as cursor:
        for statement in BREAK["trigger"]:
            cursor.execute(statement)
    assert browser.post(APP, {"code": code(seeds.unseal(browser.session["mfa.totp.secret"]))}).status_code == 503
    assert not Authenticator.objects.exists()
