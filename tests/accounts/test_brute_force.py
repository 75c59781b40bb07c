"""Guessing: how often, from where, at whose cost, and what the answers betray."""

from __future__ import annotations

import time
import unicodedata
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail, signing
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts import backend, devices, hashing, tries
from portal.accounts.models import OneTimeLink, Tally, User
from portal.audit import strangers
from portal.audit.models import Event
from tests.accounts.second_steps import by_code, code, give_app, show
from tests.conftest import PASSWORD, Browser, pass_a_minute

LOGIN, RESET, CHANGE = "/accounts/login/", "/accounts/password/reset/", "/accounts/password/change/"
WRONG = "not the password of anybody"
KNOWN = "__Host-known"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def hashes(monkeypatch):
    """How often a password was hashed."""
    seen = []
    encode = MD5PasswordHasher.encode

    def counting(self, password, salt):
        seen.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return seen


def sign_in(browser, login="agent", password=WRONG, *, ip=HERE):
    return browser.post(LOGIN, {"login": login, "password": password}, REMOTE_ADDR=ip)


def is_let_in(answer):
    return answer.status_code == 302


def is_refused(answer):
    return "Too many failed attempts" in answer.content.decode()


def device_of(login="agent"):
    """A browser in which the person has signed in before, and out again."""
    browser = Browser()
    assert is_let_in(sign_in(browser, login, PASSWORD, ip="192.0.2.50"))
    browser.post("/accounts/logout/")
    return browser


def reach(limit, *whose, but=0):
    """Let there have been as many failures as the limit allows, but for a few."""
    ends_at = timezone.now() + timedelta(seconds=limit.seconds)
    now = {"count": limit.allowed - but, "ends_at": ends_at}
    Tally.objects.update_or_create(key=tries.counter(limit, *whose).key, defaults=now)


def from_everywhere(login="agent"):
    reach(tries.SIGN_IN_EVERYWHERE, login)


def kinds():
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


# --- what it costs


@pytest.mark.parametrize("login", ["agent", "agent@example.org", "nobody", "nobody@example.org", "away", "sso", "new"])
def test_every_try_costs_one_hash_whoever_is_named(make_person, hashes, login):
    make_person("agent")
    make_person("away", is_active=False)
    make_person("new", awaits_approval=True)
    nobody_s = make_person("sso")
    nobody_s.set_unusable_password()
    nobody_s.save()
    hashes.clear()
    answer = sign_in(Browser(), login)
    assert len(hashes) == 1
    assert "User name or password is wrong" in answer.content.decode()


@pytest.mark.parametrize("fields", [{"is_active": False}, {"awaits_approval": True}])
def test_the_right_password_of_an_account_that_is_not_open_looks_wrong(agent, fields):
    User.objects.update(**fields)
    answer = sign_in(Browser(), password=PASSWORD)
    assert "User name or password is wrong" in answer.content.decode()
    assert kinds() == ["signin.failed"]


def test_answers_for_known_and_unknown_names_have_the_same_headers_and_cookies(agent):
    known, unknown = sign_in(Browser()), sign_in(Browser(), "nobody")
    assert set(known.headers) == set(unknown.headers)
    assert set(known.cookies) == set(unknown.cookies)
    known, unknown = (Browser().post(RESET, {"email": f"{name}@example.org"}) for name in ("agent", "nobody"))
    assert set(known.headers) == set(unknown.headers)
    assert set(known.cookies) == set(unknown.cookies)


def test_a_refused_try_costs_no_hash_right_or_wrong(agent, hashes):
    for _ in range(5):
        sign_in(Browser())
    hashes.clear()
    assert is_refused(sign_in(Browser(), password=PASSWORD))
    assert is_refused(sign_in(Browser(), password=WRONG))
    assert hashes == []


def test_a_refused_try_writes_nothing_but_the_first_word_about_it(agent):
    for _ in range(6):
        sign_in(Browser())
    with CaptureQueriesContext(connection) as asked:
        assert is_refused(sign_in(Browser()))
    assert [query["sql"][:7] for query in asked] == ["SELECT "] * len(asked)


def test_a_thousand_guesses_of_one_network_cost_thirty_hashes(agent, hashes):
    hashes.clear()
    for number in range(40):
        sign_in(Browser(), f"guess-{number}" if number % 4 else "agent")
    assert len(hashes) == 30


def test_a_very_long_password_is_not_hashed(agent, hashes):
    hashes.clear()
    sign_in(Browser(), password="x" * 257)
    assert hashes == []
    assert kinds() == ["signin.failed"]


# --- who is counted together


def test_guesses_from_everywhere_at_one_name_end_too(agent, hashes):
    hashes.clear()
    for number in range(34):
        sign_in(Browser(), ip=f"192.0.2.{number}")
    assert len(hashes) == 30


def test_a_known_device_is_let_in_meanwhile(agent, colleague):
    browser = device_of()
    from_everywhere()
    assert is_refused(sign_in(Browser(), password=PASSWORD, ip=ELSEWHERE))
    assert is_refused(sign_in(device_of("colleague"), password=PASSWORD, ip=ELSEWHERE)), "another person's device"
    assert is_let_in(sign_in(browser, "Agent@example.org", PASSWORD, ip=ELSEWHERE))


def test_a_known_device_is_let_in_from_the_attacker_s_network(agent):
    browser = device_of()
    reach(tries.SIGN_IN_NETWORK, HERE)
    assert is_refused(sign_in(Browser(), password=PASSWORD))
    assert is_let_in(sign_in(browser, password=PASSWORD))


def test_a_known_device_has_a_limit_of_its_own(agent):
    browser = device_of()
    for _ in range(10):
        assert not is_refused(sign_in(browser))
    assert is_refused(sign_in(browser, password=PASSWORD))
    assert is_let_in(sign_in(Browser(), password=PASSWORD)), "which leaves other devices alone"


@pytest.mark.parametrize("value", ["", "x", "a:b:c", "eyJ9:1:x", "\xff", "x" * 4000])
def test_a_made_up_cookie_is_no_device(agent, value):
    browser = Browser()
    browser.cookies[KNOWN] = value
    for _ in range(5):
        sign_in(browser)
    assert is_refused(sign_in(browser, password=PASSWORD))


def test_a_device_is_known_no_longer_after_a_change_of_the_password(agent):
    browser = device_of()
    agent.set_password("another horse, another battery")
    agent.save()
    from_everywhere()
    assert is_refused(sign_in(browser, password="another horse, another battery", ip=ELSEWHERE))


def test_a_device_is_known_for_ninety_days(agent, monkeypatch):
    browser = device_of()
    later = time.time() + 91 * 24 * 60 * 60
    monkeypatch.setattr(signing.time, "time", lambda: later)
    request = RequestFactory().get("/")
    request.COOKIES[devices.COOKIE] = browser.cookies[devices.COOKIE].value
    assert devices.device_of(request, agent) == ""


def test_the_cookie_is_host_only_secure_hidden_and_names_nobody(agent):
    cookie = device_of().cookies[KNOWN]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Strict", "/")
    assert cookie["domain"] == ""
    assert "agent" not in cookie.value


def test_people_share_a_device(make_person):
    browser = Browser()
    for number in range(devices.PEOPLE + 1):
        make_person(f"person{number}")
        assert is_let_in(sign_in(browser, f"person{number}", PASSWORD))
        browser.post("/accounts/logout/")
    request = RequestFactory().get("/")
    request.COOKIES[devices.COOKIE] = browser.cookies[devices.COOKIE].value
    assert len(devices.entries(request)) == devices.PEOPLE
    assert devices.device_of(request, User.objects.get(username=f"person{devices.PEOPLE}"))
    assert not devices.device_of(request, User.objects.get(username="person0"))


def test_a_device_keeps_its_counter_when_its_person_signs_in_again(agent):
    browser = device_of()
    for _ in range(9):
        sign_in(browser)
    assert is_let_in(sign_in(browser, password=PASSWORD))
    browser.post("/accounts/logout/")
    sign_in(browser)
    assert is_refused(sign_in(browser, password=PASSWORD))


def test_a_password_alone_makes_no_device_known_where_more_is_demanded(agent, settings):
    settings.REQUIRE_MFA = "everyone"
    assert KNOWN not in sign_in(Browser(), password=PASSWORD).cookies
    give_app(agent)
    assert by_code(agent).cookies[KNOWN]


def test_forged_addresses_are_one_network(agent):
    for number in range(6):
        answer = Browser().post(
            LOGIN,
            {"login": "agent", "password": WRONG},
            REMOTE_ADDR=HERE,
            headers={"x-forwarded-for": f"10.0.0.{number}"},
        )
    assert is_refused(answer)


@pytest.mark.parametrize("spelling", ["AGENT", "aGeNt ", "ａｇｅｎｔ", "agent\u200b"[:5], "Ⓐgent", "\tagent"])
def test_no_spelling_of_a_name_has_tries_of_its_own(agent, spelling):
    for _ in range(5):
        sign_in(Browser())
    assert is_refused(sign_in(Browser(), spelling, PASSWORD))


@pytest.mark.parametrize(
    "letter", [chr(number) for number in (0x131, 0x130, 0x17F, 0xDF, 0x212A, 0x1E9E, 0xFB01, 0x3C2)]
)
def test_what_a_database_takes_for_the_same_name_is_counted_together(letter):
    for other in (letter.upper(), letter.lower(), letter.casefold(), unicodedata.normalize("NFKC", letter)):
        assert tries.folded(f"a{letter}b") == tries.folded(f"a{other}b") or letter == "\u0130"


def test_a_user_name_goes_before_an_address(make_person):
    first = make_person("first")
    second = make_person("first@example.org")
    User.objects.filter(pk=second.pk).update(email="")
    assert backend.find("First@Example.org") == second
    assert backend.find("first") == first
    assert backend.find("nobody") is None


def test_counters_name_nobody(agent):
    sign_in(Browser())
    keys = " ".join(Tally.objects.values_list("key", flat=True))
    assert keys.count("sign_in.") == 3
    assert "agent" not in keys
    assert HERE not in keys


# --- time


def test_the_wait_is_told_in_minutes_and_ends(agent):
    for _ in range(5):
        sign_in(Browser())
    Tally.objects.update(ends_at=timezone.now() + timedelta(seconds=50))
    assert "Wait 1 minute, or ask" in sign_in(Browser()).content.decode()
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert is_let_in(sign_in(Browser(), password=PASSWORD))


def test_a_clock_that_was_set_back_keeps_nobody_waiting_for_longer_than_the_limit(agent):
    for _ in range(5):
        sign_in(Browser())
    Tally.objects.update(ends_at=timezone.now() + timedelta(days=3))
    assert "Wait 15 minutes" in sign_in(Browser()).content.decode()


def test_counters_that_are_over_are_removed_now_and_then(agent, monkeypatch):
    sign_in(Browser(), "somebody", ip=ELSEWHERE)
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(tries, "_cleaned_at", time.monotonic() - tries.HOUSEKEEPING)
    sign_in(Browser())
    assert Tally.objects.count() == 3
    monkeypatch.setattr(tries, "_cleaned_at", time.monotonic())
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    sign_in(Browser(), "somebody", ip=ELSEWHERE)
    assert Tally.objects.count() == 6


def test_another_s_try_at_the_same_moment_takes_the_last_place(agent, monkeypatch, hashes):
    for _ in range(5):
        sign_in(Browser())
    hashes.clear()
    monkeypatch.setattr(tries, "reached_of", lambda counters: [])
    assert is_refused(sign_in(Browser(), password=PASSWORD))
    assert hashes == []
    assert sorted(Tally.objects.exclude(key__contains="told").values_list("count", flat=True)) == [5, 5, 5]


# --- what works, and what is nobody's fault


def test_what_works_gives_its_try_back(agent):
    for _ in range(8):
        assert is_let_in(sign_in(Browser(), password=PASSWORD))
    assert set(Tally.objects.values_list("count", flat=True)) == {0}


def test_somebody_s_success_does_not_wipe_the_failures_of_their_network(agent, colleague):
    give_app(agent)
    reach(tries.SIGN_IN_NETWORK, "127.0.0.1", but=1)
    by_code(agent)
    sign_in(Browser(), "guess", ip="127.0.0.1")
    assert is_refused(sign_in(Browser(), "colleague", PASSWORD, ip="127.0.0.1"))


def test_a_crowded_portal_says_so_and_takes_no_try(agent, monkeypatch):
    crowded = hashing.Places(1, 0, 0)
    monkeypatch.setattr(hashing, "places", crowded)
    assert crowded._strangers.acquire(blocking=False)
    answer = sign_in(Browser(), "somebody")
    assert answer.status_code == 503
    page = answer.content.decode()
    assert "Many people are signing in" in page
    assert 'value="somebody"' in page
    assert not Tally.objects.exists()
    assert not Event.objects.exists()


def test_an_error_gives_the_try_back(agent, monkeypatch):
    def fail(self, request, **credentials):
        raise hashing.Crowded

    monkeypatch.setattr(backend.Backend, "authenticate", fail)
    assert sign_in(Browser()).status_code == 503
    assert set(Tally.objects.values_list("count", flat=True)) == {0}


# --- events


def test_a_limit_that_is_reached_is_one_event(agent):
    for _ in range(9):
        sign_in(Browser())
    event = Event.objects.get(kind="limit.reached")
    assert event.facts == {"limit": "sign_in.name", "allowed": 5, "seconds": 900}
    assert (event.result, event.actor_name) == ("denied", "agent")
    assert kinds().count("signin.limited") == 1


def test_a_flood_of_failures_from_everywhere_is_not_an_event_each(db):
    strangers.memory._each["signin.failed"] = (int(time.monotonic() // strangers.QUIET), strangers.EACH - 2)
    for number in range(7):
        sign_in(Browser(), f"guess-{number}", ip=f"192.0.2.{number}")
    assert kinds() == ["signin.failed"] * 3
    assert Event.objects.order_by("-seq")[0].facts == {"left_out_before": 0}
    pass_a_minute("audit:signin.failed:everywhere")
    sign_in(Browser(), "guess", ip=ELSEWHERE)
    assert Event.objects.order_by("-seq")[0].facts == {"left_out_before": 4}


def test_a_flood_from_ever_new_networks_is_not_an_event_each(db):
    strangers.memory._each["enrolment.refused"] = (int(time.monotonic() // strangers.QUIET), strangers.EACH - 1)
    for number in range(5):
        for _ in range(2):
            Browser().get("/accounts/enrol/nothing/", REMOTE_ADDR=f"192.0.2.{number}")
    assert kinds() == ["enrolment.refused"] * 2
    pass_a_minute("audit:enrolment.refused:everywhere")
    Browser().get("/accounts/enrol/nothing/", REMOTE_ADDR="192.0.2.77")
    assert Event.objects.order_by("-seq")[0].facts == {"left_out_before": 3}


# --- other doors


def test_wrong_codes_count_together_at_every_door(agent, colleague):
    give_app(agent)
    signed_in, wrong = by_code(agent), f"{(int(code()) + 1) % 1_000_000:06}"
    stranger = Browser()
    sign_in(stranger, password=PASSWORD)
    for _ in range(3):
        show(stranger, wrong)
    for _ in range(2):
        assert show(stranger, wrong).status_code == 422
    assert "Too many failed attempts" in show(stranger, code(steps=1)).content.decode()
    signed_in.cookies.pop(KNOWN)
    answer = signed_in.post("/accounts/reauthenticate/code/", {"code": wrong})
    assert "Too many failed attempts" in answer.content.decode()
    facts = Event.objects.get(kind="limit.reached").facts
    assert facts == {"limit": "second_step.person", "allowed": 5, "seconds": 900}


def test_whoever_has_the_password_cannot_keep_the_person_from_their_second_step(agent):
    give_app(agent)
    device = by_code(agent)
    device.post("/accounts/logout/")
    stranger, wrong = Browser(), f"{(int(code()) + 1) % 1_000_000:06}"
    sign_in(stranger, password=PASSWORD)
    for _ in range(6):
        show(stranger, wrong)
    sign_in(device, password=PASSWORD)
    assert "did not work" in show(device, wrong).content.decode()


def test_the_password_asked_again_is_limited_at_every_form(agent, browser_of, vendor):
    browser = browser_of(agent)
    for _ in range(3):
        browser.post("/accounts/reauthenticate/", {"password": WRONG})
    form = {"oldpassword": WRONG, "password1": "another horse, another battery"}
    for _ in range(2):
        browser.post(CHANGE, form | {"password2": form["password1"]})
    assert is_refused(browser.post("/accounts/reauthenticate/", {"password": PASSWORD}))
    answer = browser.post(CHANGE, form | {"oldpassword": PASSWORD, "password2": form["password1"]})
    assert is_refused(answer)
    assert is_let_in(sign_in(Browser(), password=PASSWORD)), "signing in is not stopped by it"
    assert Event.objects.get(kind="limit.reached").facts["limit"] == "confirmation.person"


@pytest.mark.parametrize("path", ["enrol/{}/", "invite/{}/", "password/reset/key/1-{}-bbbbbbbbbb/"])
def test_links_cannot_be_tried_for_ever(agent, path):
    link = OneTimeLink.objects.issue(OneTimeLink.Purpose.RESET, agent)
    reach(tries.LINK, "127.0.0.1", but=2)
    for number in range(2):
        assert Browser().get(f"/accounts/{path.format(number)}").status_code in (200, 410)
    assert Browser().get(f"/accounts/invite/{link}/").status_code == 429
    assert Browser().get(f"/accounts/{path.format('x')}").status_code == 429
    assert Browser().get(f"/accounts/invite/{link}/", REMOTE_ADDR=ELSEWHERE).status_code == 200
    assert Event.objects.get(kind="limit.reached").facts["limit"] == "link.network"


def test_passkeys_cannot_be_tried_for_ever(db):
    reach(tries.PASSKEY, HERE, but=2)
    for _ in range(3):
        answer = Browser().post("/accounts/login/passkey/", {"credential": '{"id": 1}'}, REMOTE_ADDR=HERE)
    assert answer.headers["Location"] == LOGIN
    assert kinds() == ["signin.factor_failed", "limit.reached", "signin.limited"]
    assert Event.objects.get(kind="limit.reached").facts["limit"] == "passkey.network"


# --- resets


def ask_for_reset(browser=None, *, email="agent@example.org", ip=HERE):
    return (browser or Browser()).post(RESET, {"email": email}, REMOTE_ADDR=ip).status_code


def test_a_stranger_cannot_use_up_the_resets_of_an_address(agent):
    assert [ask_for_reset() for _ in range(4)] == [302, 302, 302, 429]
    assert ask_for_reset(ip=ELSEWHERE) == 302


def test_a_mailbox_is_not_flooded_from_everywhere(agent):
    browser = device_of()
    reach(tries.RESET_EVERYWHERE, "agent@example.org", but=2)
    answers = [ask_for_reset(ip=f"192.0.2.{number}") for number in range(3)]
    assert answers == [302] * 2 + [429]
    assert len(mail.outbox) == 2
    assert ask_for_reset(browser) == 302, "the person's own device is counted apart"


def test_one_network_asks_for_so_many_resets_only(agent):
    reach(tries.RESET_NETWORK, HERE, but=2)
    answers = [ask_for_reset(email=f"guess{number}@example.org") for number in range(3)]
    assert answers == [302] * 2 + [429]


def test_somebody_who_waits_for_approval_gets_no_link(agent):
    User.objects.update(awaits_approval=True)
    ask_for_reset()
    assert mail.outbox == []
