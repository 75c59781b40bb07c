"""Seeds of second factors: sealed wherever they lie, and brought from one SECRET_KEY to the next."""

from __future__ import annotations

import io
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.core.management import CommandError, call_command

from invitations.models import Policy
from portal import audit, self_check
from portal.accounts import factor_views, seeds
from portal.audit.models import Event
from tests.accounts.second_steps import SECURITY, SEED, by_code, by_password, code, give_app, give_codes
from tests.conftest import Browser

APP = f"{SECURITY}app/"


def change_key(settings, *, keep=True):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keep else []
    settings.SECRET_KEY = "another key for tests, long enough for anybody 0123456789"


def reencrypt():
    out = io.StringIO()
    call_command("reencrypt_factors", stdout=out)
    return out.getvalue()


def told():
    return {(one.state, one.says) for one in self_check.run() if one.topic == "Second factors"}


def test_an_app_that_is_being_set_up_is_sealed_in_the_session(agent, settings):
    browser = by_password(agent)
    shown = re.search(r'class="secret">([A-Z2-7 ]+)<', browser.get(APP).content.decode())[1].replace(" ", "")
    kept = browser.session[SECRET_SESSION_KEY]
    assert shown not in str(dict(browser.session))
    assert seeds.unseal(kept) == shown
    assert browser.post(APP, {"code": "1"}).status_code == 200
    assert browser.session[SECRET_SESSION_KEY] == kept, "a wrong code does not change what the app has scanned"
    assert browser.post(APP, {"code": code(shown)}).status_code == 302
    assert SECRET_SESSION_KEY not in browser.session


def test_a_key_changed_meanwhile_begins_again(agent, settings):
    browser = by_password(agent)
    browser.get(APP)
    session = browser.session
    session[SECRET_SESSION_KEY] = "of another key"
    session.save()
    assert browser.post(APP, {"code": code()}).status_code == 200
    assert not Authenticator.objects.exists()


def test_seeds_move_to_the_new_key_and_codes_go_on(agent, lead, settings):
    give_app(agent)
    left = give_codes(agent)
    by = by_password(agent)
    assert by.post("/accounts/login/code/", {"code": left[0]}).status_code == 302
    change_key(settings)
    give_app(lead)
    assert ("unwise", "A former SECRET_KEY still protects the second factors of: agent.") in told()
    assert "anew: 2." in reencrypt()
    assert "anew: 0." in reencrypt()
    assert [event.facts for event in Event.objects.filter(kind="factor.reencrypted")] == [{"count": 2}]
    assert not [says for _, says in told() if "SECRET_KEY" in says]
    settings.SECRET_KEY_FALLBACKS = []
    by_code(agent)
    again = by_password(agent)
    assert again.post("/accounts/login/code/", {"code": left[0]}).status_code == 422, "a used code stays used"
    assert again.post("/accounts/login/code/", {"code": left[1]}).status_code == 302


def test_no_seed_moves_where_that_cannot_be_recorded(agent, settings, monkeypatch):
    give_app(agent)
    change_key(settings)

    def away(*_, **__):
        raise audit.Unavailable("no")

    monkeypatch.setattr(audit, "record", away)
    with pytest.raises(CommandError, match="Nothing was done"):
        reencrypt()
    assert seeds.ages().old == ["agent"]


def test_seeds_that_no_key_opens_are_named(agent, settings):
    give_app(agent)
    change_key(settings, keep=False)
    assert ("wrong", "No key opens the second factors of: agent.") in told()
    with pytest.raises(CommandError, match="of: agent"):
        reencrypt()
    assert "SEED" not in str(Authenticator.objects.get().data)


def test_a_factor_removed_meanwhile_stays_removed(agent, settings):
    app = give_app(agent)
    change_key(settings)
    candidates = seeds.keys()
    app.delete()
    assert seeds.reencrypt_one(app.pk or 0, candidates) is False


@pytest.mark.parametrize(
    ("name", "issuer"),
    [
        ("Quillmere IT & Helpdesk", "Quillmere IT & Helpdesk"),
        ("IT: Helpdesk\u202e  Ä", "IT Helpdesk Ä"),
        ("x" * 60, "x" * 40),
        (":", "Getscreen portal"),
    ],
)
def test_apps_show_the_helpdesk_s_name(agent, monkeypatch, name, issuer):
    Policy.load()
    Policy.objects.update(helpdesk_name=name)
    told = []
    picture = factor_views.picture
    monkeypatch.setattr(factor_views, "picture", lambda address: told.append(address) or picture(address))
    browser = by_password(agent)
    browser.get(APP)
    assert browser.get(f"{APP}qr/").status_code == 200
    parts = urlsplit(told[0])
    assert parse_qs(parts.query)["issuer"] == [issuer]
    assert unquote(parts.path) == "/agent"


@pytest.mark.parametrize(
    ("wanted", "destination"),
    [
        ("/history/?q=a%20b", "/history/?q=a%20b"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("https://testserver/history/", "/"),
    ],
)
def test_the_first_factor_leads_to_where_somebody_was_going(agent, settings, wanted, destination):
    settings.REQUIRE_MFA = "everyone"
    browser: Browser = by_password(agent)
    browser.get(SECURITY, {"next": wanted})
    shown = re.search(r'class="secret">([A-Z2-7 ]+)<', browser.get(APP).content.decode())[1].replace(" ", "")
    page = browser.post(APP, {"code": code(shown)}, follow=True).content.decode()
    assert f'href="{destination}">I have kept them</a>' in page
    assert "wanted_page" not in browser.session


def test_the_seed_is_what_the_tests_know(agent):
    assert seeds.unseal(give_app(agent).data["secret"]) == SEED
    with pytest.raises(seeds.Unreadable):
        seeds.unseal("no base64!")
